"""The names of indices that are counted apart: bounded, and the same in every worker."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plugin.telemetry.index_labels import EVERYTHING, MAX_APPLIED, MAX_OTHERS, OTHER, IndexLabels
from tests.support.paths import ROOT


def label_all(labels: IndexLabels, prefix: str, count: int, *, applied: bool) -> list[str]:
    return [labels.label(f"{prefix}{n}", applied=applied) for n in range(count)]


@pytest.mark.parametrize("is_shared", [True, False])
def test_each_group_has_its_bound(tmp_path: Path, is_shared: bool) -> None:
    labels = IndexLabels(tmp_path / "indices" if is_shared else None)
    others = label_all(labels, "junk", 3 * MAX_OTHERS, applied=False)
    assert others[:MAX_OTHERS] == [f"junk{n}" for n in range(MAX_OTHERS)]
    assert set(others[MAX_OTHERS:]) == {OTHER}
    # names that clients made up are not in the way of those that are reranked
    applied = label_all(labels, "shop", 2 * MAX_APPLIED, applied=True)
    assert applied[:MAX_APPLIED] == [f"shop{n}" for n in range(MAX_APPLIED)], (
        "made-up names are not in its way"
    )
    assert set(applied[MAX_APPLIED:]) == {OTHER}
    assert labels.label("shop3", applied=False) == "shop3"
    assert labels.label("junk3", applied=True) == "junk3", "it keeps its place among the others"


def test_a_name_that_is_reranked_later_makes_room_for_another(tmp_path: Path) -> None:
    labels = IndexLabels(tmp_path / "indices")
    label_all(labels, "name", MAX_OTHERS, applied=False)
    assert labels.label("further", applied=False) == OTHER
    assert labels.label("name0", applied=True) == "name0"
    assert labels.label("further", applied=False) == "further"
    assert labels.label("one more", applied=False) == OTHER


def test_a_reranked_name_takes_a_place_among_the_others_if_its_group_is_full() -> None:
    labels = IndexLabels()
    label_all(labels, "shop", MAX_APPLIED, applied=True)
    assert labels.label("late", applied=True) == "late"
    assert labels.label("late", applied=False) == "late"


def test_workers_agree(tmp_path: Path) -> None:
    one, other = IndexLabels(tmp_path / "indices"), IndexLabels(tmp_path / "indices")
    label_all(one, "a", MAX_APPLIED // 2, applied=True)
    label_all(other, "b", MAX_APPLIED // 2, applied=True)
    label_all(one, "c", MAX_OTHERS, applied=False)
    for labels in (one, other):
        assert labels.label("a1", applied=True) == "a1"
        assert labels.label("b1", applied=False) == "b1"
        assert labels.label("c1", applied=False) == "c1"
        assert labels.label("d", applied=True) == OTHER
        assert labels.label("d", applied=False) == OTHER


def test_what_has_no_place_is_other(tmp_path: Path) -> None:
    labels = IndexLabels(tmp_path / "indices")
    assert labels.label("", applied=True) == EVERYTHING
    assert labels.label("x" * 256, applied=True) == OTHER
    assert labels.label("ü" * 128, applied=True) == OTHER
    assert labels.label("ü" * 127, applied=True) == "ü" * 127


def test_a_worker_that_cannot_share_goes_on_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = IndexLabels(tmp_path / "no such folder" / "indices")
    assert labels.label("shop", applied=True) == "shop"
    assert labels.label("shop2", applied=True) == "shop2"
    assert len(caplog.records) == 1


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: a write stops in the middle of a line."""
    file = tmp_path / "indices"
    script = f"""
import resource, signal
from pathlib import Path
from plugin.telemetry.index_labels import IndexLabels
from tests.support.paths import ROOT
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30, 30))
labels = IndexLabels(Path({str(file)!r}))
print([labels.label(name, applied=True) for name in ("first", "x" * 40, "third")])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(["first", "x" * 40, "third"])
    assert "goes on alone" in done.stderr
    assert file.read_text() == '["first",true]\n'


def test_a_worker_that_is_killed_blocks_no_other(tmp_path: Path) -> None:
    file = tmp_path / "indices"
    script = f"""
import time
from pathlib import Path
from plugin.telemetry.index_labels import _locked
from tests.support.paths import ROOT
with _locked(Path({str(file)!r})):
    print("locked", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        os.kill(holder.pid, signal.SIGKILL)
        assert IndexLabels(file).label("shop", applied=True) == "shop"
