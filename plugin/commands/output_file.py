"""A file that a command was asked to write."""

from pathlib import Path

from plugin.errors import CommandError


def write_output(file: Path, text: str, *, appends: bool = False) -> None:
    """Write text to a file, or append it.

    Raises:
        CommandError: the file cannot be written.
    """
    try:
        with file.open("a" if appends else "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise CommandError(f"expected to write {file}, found: {error}") from error
