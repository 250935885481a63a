"""Progress where no terminal shows a bar: lines, seldom, with what is left."""

import io
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch
from rich.console import Console

from indexer.sync.summary import SyncSummary
from plugin.commands import progress
from plugin.commands.main import main
from plugin.commands.progress import (
    EVERY_S,
    ProgressLines,
    describe_progress,
    describe_sync,
    format_time_left,
)
from tests.support.indices.toy_collection import QUERIES, write_toy_collection
from tests.support.other_bundle import other_bundle
from tests.support.paths import TINY_BUNDLE
from tests.support.sync_run import make_index

BUNDLE = ("--bundle", str(TINY_BUNDLE))
NUMBER = 40


@pytest.mark.parametrize(("done", "total", "elapsed_s", "words"), [
    (1200, 5000, 4.0, "1,200 of 5,000 documents (24 %), 300/s, 13 s left"),
    (1200, None, 4.0, "1,200 documents, 300/s"),
    (0, 5000, 0.0, "0 of 5,000 documents (0 %)"),
    (0, 0, 1.0, "0 of 0 documents, 0/s"),
    (10, 5, 1.0, "10 of 5 documents (200 %), 10/s"),
])  # fmt: skip
def test_what_a_line_says(done: int, total: int | None, elapsed_s: float, words: str) -> None:
    assert describe_progress("documents", done, total, elapsed_s) == words


@pytest.mark.parametrize(("elapsed_s", "words"), [
    (1.0, ", 9 s left"),
    (10.0, ", 1 min 30 s left"),
    (1300.0, ", 3 h 15 min left"),
])  # fmt: skip
def test_the_time_left(elapsed_s: float, words: str) -> None:
    assert format_time_left(10, 100, elapsed_s) == words


def test_a_sync_says_how_far_it_is() -> None:
    summary = SyncSummary(checked=1200, written=300, passed=1250, pending=3750)
    expected = "1,200 checked (25 % of 5,000 operations), 300/s, 300 written, 12 s left"
    assert describe_sync(summary, 4.0) == expected
    assert describe_sync(SyncSummary(), 0.0) == "0 checked, 0 written"


def test_a_slice_says_how_many_documents_it_has() -> None:
    summary = SyncSummary(
        checked=1200, written=300, passed=9000, pending=1, documents=4800, missing=70_000, slice="2/4"
    )
    expected = "1,200 checked (25 % of 4,800 documents), 300/s, 300 written, missing 70,000, 12 s left"
    assert describe_sync(summary, 4.0) == expected
    summary.slices_done = 1
    assert "slice 2/4: 1 of 4 slices are done; missing: 70000 documents" in summary.in_words()
    assert summary.as_json()["slices_done"] == 1
    assert "slice" not in SyncSummary().as_json()


def lines(*, is_terminal: bool = False, hidden: bool = False, seconds: int = 61) -> list[str]:
    """Show something every second, by a clock of its own, and return what was printed."""
    output, now_s = io.StringIO(), 0.0
    console = Console(file=output, force_terminal=is_terminal)
    shown = ProgressLines(console, hidden=hidden, clock=lambda: now_s)
    for _ in range(seconds):
        now_s += 1.0
        shown.show(lambda elapsed_s: f"after {elapsed_s:.0f} s")
    return output.getvalue().splitlines()


def test_lines_come_seldom() -> None:
    assert lines() == [f"after {n * EVERY_S:.0f} s" for n in range(1, 7)]
    assert lines(seconds=9) == []


def test_none_where_a_bar_is_and_none_if_hidden() -> None:
    assert lines(is_terminal=True) == lines(hidden=True) == []


@pytest.fixture
def every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every step print its line."""
    monkeypatch.setattr(progress, "EVERY_S", 0.0)


@pytest.fixture
def filled(client: OpenSearch, index_name: str) -> str:
    make_index(client, index_name)
    documents = [{"text": f"and file {number}"} for number in range(NUMBER)]
    body = [line for n, each in enumerate(documents) for line in ({"index": {"_id": str(n)}}, each)]
    client.bulk(index=index_name, body=body, refresh=True)
    return index_name


def run(url: str, *arguments: str) -> Result:
    done = CliRunner().invoke(main, [*arguments, "--upstream", url])
    assert done.exit_code == 0, done.output
    return done


@pytest.mark.live
@pytest.mark.usefixtures("every_time")
def test_sync_verify_and_strip_say_how_far_they_are(opensearch_url: str, filled: str) -> None:
    synced = run(opensearch_url, "sync", filled, *BUNDLE)
    assert re.search(
        rf"{NUMBER} checked \(100 % of {NUMBER} operations\), \d+/s, {NUMBER} written", synced.stderr
    )
    verified = run(opensearch_url, "verify", filled, *BUNDLE)
    assert f"{NUMBER} of {NUMBER} documents of {filled} (100 %)" in verified.stderr
    assert "(100 %)" not in run(opensearch_url, "verify", filled, "--json", *BUNDLE).stderr
    stripped = run(opensearch_url, "disable", filled, "--strip")
    assert f"{NUMBER} of {NUMBER} vectors of {filled} (100 %)" in stripped.stderr


@pytest.mark.live
@pytest.mark.usefixtures("every_time")
def test_what_was_looked_at_before_is_not_to_come(
    opensearch_url: str, client: OpenSearch, filled: str
) -> None:
    run(opensearch_url, "sync", filled, *BUNDLE)
    client.index(index=filled, id="new", body={"text": "and file"}, refresh=True)
    again = run(opensearch_url, "sync", filled, *BUNDLE)
    [found] = {int(each) for each in re.findall(r"of (\d+) operations", again.stderr)}
    assert found <= NUMBER + 1  # the vectors of the first run are operations too
    scratch = run(opensearch_url, "sync", filled, "--from-scratch", *BUNDLE)
    assert int(re.findall(r"of (\d+) operations", scratch.stderr)[0]) > NUMBER


@pytest.mark.live
@pytest.mark.usefixtures("every_time")
def test_a_change_of_model_says_how_far_it_is(opensearch_url: str, filled: str, tmp_path: Path) -> None:
    run(opensearch_url, "sync", filled, *BUNDLE)
    to = ("--to", str(other_bundle(tmp_path / "other").path))
    assert f"{NUMBER} checked" in run(opensearch_url, "migrate", filled, *to).stderr
    for step in ("status", "cutover"):
        looked = run(opensearch_url, "migrate", filled, step, *to)
        assert f"{NUMBER} of {NUMBER} documents of {filled} (100 %)" in looked.stderr
    assert "{'" not in run(opensearch_url, "migrate", filled, "status", *to).output


@pytest.mark.live
@pytest.mark.usefixtures("every_time")
def test_index_says_how_far_it_is_in_a_file(opensearch_url: str, filled: str, tmp_path: Path) -> None:
    file = tmp_path / "documents.jsonl"
    file.write_text("".join(f'{{"_id": "{n}", "text": "and file {n}"}}\n' for n in range(NUMBER)))
    done = run(opensearch_url, "index", filled, str(file), *BUNDLE)
    assert re.search(rf"{NUMBER} documents, \d+/s \(100 % of the file\)", done.stderr)


@pytest.mark.live
@pytest.mark.usefixtures("every_time")
def test_evaluate_says_how_far_it_is(opensearch_url: str, index_name: str, tmp_path: Path) -> None:
    folder = write_toy_collection(tmp_path)
    done = run(opensearch_url, "evaluate", str(folder), "--index", index_name)
    assert f"{len(QUERIES)} of {len(QUERIES)} queries (100 %)" in done.stderr
    assert "documents (100 %)" in done.stderr
