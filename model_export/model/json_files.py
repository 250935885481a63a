"""JSON files that lie beside a model's weights."""

from pathlib import Path
from typing import TypeVar

import msgspec

from model_export.errors import ExportError

_Kind = TypeVar("_Kind")


def read_json(file: Path, kind: type[_Kind]) -> _Kind:
    """Read a JSON file as a value of `kind`, a type that msgspec knows.

    Raises:
        ExportError: it cannot be read, is not JSON, or has another type.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ExportError(f"expected JSON in {file}, found: {error}") from error
