"""A folder that is there completely or not at all."""

import errno
import os
from pathlib import Path

import pytest

from model_export.errors import ExportError
from model_export.model.new_folder import make_folder


def test_what_was_written_is_there_at_the_end(tmp_path: Path) -> None:
    with make_folder(tmp_path / "more" / "out", "model") as folder:
        assert folder.parent == tmp_path / "more"
        (folder / "file").write_text("text")
        assert not (tmp_path / "more" / "out").exists()
    assert (tmp_path / "more" / "out" / "file").read_text() == "text"
    assert [each.name for each in (tmp_path / "more").iterdir()] == ["out"]
    assert (tmp_path / "more" / "out").stat().st_mode & 0o777 == 0o755


def fail(out: Path, error: BaseException) -> None:
    """Write a file into the folder, then raise an error."""
    with make_folder(out, "model") as folder:
        (folder / "file").write_text("text")
        raise error


@pytest.mark.parametrize("error", [ExportError("wrong"), KeyboardInterrupt(), MemoryError()])
def test_an_error_or_an_interruption_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail(tmp_path / "out", error)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"No space left on device\. Nothing was left; make room"):
        fail(tmp_path / "out", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_or_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    for out in (tmp_path, tmp_path / "file"):
        with pytest.raises(ExportError, match="expected no folder"), make_folder(out, "model"):
            pass
    with (
        pytest.raises(ExportError, match="expected to write the model"),
        make_folder(tmp_path / "file" / "a", "model"),
    ):
        pass
    assert (tmp_path / "file").read_text() == "text"
