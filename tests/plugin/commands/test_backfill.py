"""`twinrank backfill --slice`: which slices there are, and what is said of others."""

import pytest
from click.testing import CliRunner, Result

from indexer.sync.backfill import Slice
from plugin.commands.backfill import JOB_INDEX, SliceType
from plugin.commands.main import main
from tests.support.paths import TINY_BUNDLE


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(main, ["backfill", "books", *arguments], env=variables)


@pytest.mark.parametrize(("text", "found"), [
    ("1/1", Slice(1, 1)), ("2/4", Slice(2, 4)), ("4/4", Slice(4, 4)), ("1000/1000", Slice(1000, 1000)),
])  # fmt: skip
def test_slices_are_counted_from_1(text: str, found: Slice) -> None:
    assert SliceType().convert(text, None, None) == found
    assert str(found) == text


@pytest.mark.parametrize(("text", "reason"), [
    ("0/4", "expected a slice from 1/4 to 4/4, found 0/4: slices are counted from 1"),
    ("5/4", "expected a slice from 1/4 to 4/4, found 5/4"),
    ("1/0", "expected 1 to 1000 slices, found 0"),
    ("1/1001", "expected 1 to 1000 slices, found 1001"),
    ("2", "expected a slice such as 2/4"),
    ("-1/4", "expected a slice such as 2/4"),
    ("1/4 ", "expected a slice such as 2/4"),
    ("\u0661/4", "expected a slice such as 2/4"),
    ("", "expected a slice such as 2/4"),
    ("job/4", "found ''. Kubernetes sets it in a Job with completionMode: Indexed"),
])  # fmt: skip
def test_another_slice_is_refused(text: str, reason: str) -> None:
    done = run("--slice", text)
    assert done.exit_code == 2
    assert reason in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(("index", "found"), [("0", Slice(1, 4)), ("3", Slice(4, 4))])
def test_a_pod_of_a_job_counts_from_0(index: str, found: Slice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JOB_INDEX, index)
    assert SliceType().convert("job/4", None, None) == found


@pytest.mark.parametrize(("index", "reason"), [
    ("4", "found 5/4"), ("x", "found 'x'"), ("-1", "found '-1'"), ("\u0663", "in JOB_COMPLETION_INDEX"),
])  # fmt: skip
def test_a_pod_without_a_slice_is_refused(index: str, reason: str) -> None:
    done = run(TWINRANK_BACKFILL_SLICE="job/4", **{JOB_INDEX: index})
    assert done.exit_code == 2
    assert reason in done.stderr


def test_an_opensearch_that_is_not_there() -> None:
    done = run("--slice", "1/2", "--upstream", "http://127.0.0.1:1", "--bundle", str(TINY_BUNDLE))
    assert done.exit_code == 1
    assert "cannot be reached" in done.stderr
