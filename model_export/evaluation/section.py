"""A section of a Markdown document that a command writes: the text between two comments."""

from collections.abc import Iterable
from pathlib import Path

from model_export.errors import ExportError


def write_section(document: Path, name: str, lines: Iterable[str]) -> None:
    """Replace what stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`; the rest stays.

    Raises:
        ExportError: the document or one of the comments is not there.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    try:
        head, rest = document.read_text().split(begin)
        _, tail = rest.split(end)
    except (OSError, ValueError) as error:
        raise ExportError(
            f"expected {begin.strip()} and {end}, once, in {document}, found: {error}"
        ) from error
    document.write_text(head + begin + "\n".join(lines) + "\n" + end + tail)
