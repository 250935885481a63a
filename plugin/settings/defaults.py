"""The server's defaults for index settings, read from the file that `--settings` names."""

from pathlib import Path

import msgspec

from opensearch.settings.layers import Defaults, check_server_defaults
from plugin.errors import CommandError


class DefaultsFileError(CommandError):
    """The file cannot be read, or is not JSON."""


def read_defaults(file: Path | None) -> Defaults:
    """Return the server's defaults in a file, none if there is no file.

    Raises:
        DefaultsFileError: the file cannot be read, or is not JSON.
        SettingsError: a setting in it is unknown, wrong, or one that belongs to an index.
    """
    if file is None:
        return {}
    try:
        value = msgspec.json.decode(file.read_bytes())
    except (OSError, ValueError) as error:
        raise DefaultsFileError(f"--settings: expected a JSON file, found: {error}") from error
    return check_server_defaults(value, str(file))
