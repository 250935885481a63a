"""The folder for temporary files, checked before a command needs it."""

import os
import tempfile

from plugin.errors import CommandError


class TemporaryFolderError(CommandError):
    """This process can write temporary files nowhere."""


def check_temporary_folder() -> None:
    """Check that there is a folder for temporary files; the standard library tries to write to several.

    Raises:
        TemporaryFolderError: each of them is missing, full or closed to this user.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        chosen = os.environ.get("TMPDIR")
        raise TemporaryFolderError(
            "expected a folder for temporary files that this user can write to, found none:"
            f" {f'{chosen} (TMPDIR)' if chosen else '/tmp'} is missing, full or read-only."  # noqa: S108
            " Make it writable, or set TMPDIR to another folder. In a container, mount a tmpfs at /tmp"
        ) from error
