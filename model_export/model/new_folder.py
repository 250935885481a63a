"""A new folder that is there completely or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_export.errors import ExportError


@contextmanager
def make_folder(out: Path, what: str) -> Iterator[Path]:
    """Give an empty folder to write into, which becomes `out` at the end, or is removed after an error.

    `what` names the content in errors: bundle, model.

    Raises:
        ExportError: `out` exists or cannot be written.
    """
    check_absent(out)
    scratch = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        yield scratch
        scratch.chmod(0o755)
        scratch.rename(out)
    except OSError as error:
        raise ExportError(
            f"expected to write the {what} {out}, found: {error}. Nothing was left; make room or choose"
            " another folder, and run the command again"
        ) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def check_absent(out: Path) -> None:
    """Check that a folder can become new.

    Raises:
        ExportError: it exists.
    """
    if out.exists():
        raise ExportError(f"expected no folder {out}, found one: remove it or choose another name")
