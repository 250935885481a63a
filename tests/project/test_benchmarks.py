"""The benchmarks: their statistics by hand, and that they run at all."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from reranker.beir_files import DocumentRecord
from reranker.bundle import Bundle
from reranker.bundle_names import find_bundle
from tests.benchmarks.__main__ import main
from tests.benchmarks.bundle_queries import main as bundle_queries
from tests.benchmarks.cores import main as cores
from tests.benchmarks.derived_documents import turn
from tests.benchmarks.language_orders import choose_documents, find_analyzer
from tests.benchmarks.language_orders import main as language_orders
from tests.benchmarks.many_indices import main as many_indices
from tests.benchmarks.million import main as million
from tests.benchmarks.model_speed import LENGTHS_TOKENS, query_encoding
from tests.benchmarks.orders import main as orders
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.report import figures_markdown, written_into
from tests.benchmarks.samples import Figure, added_ratio, median, percentile_difference
from tests.benchmarks.verifying import main as verifying
from tests.benchmarks.windows import main as windows
from tests.support.index_command import lines
from tests.support.other_bundle import other_bundle
from tests.support.paths import TINY_BUNDLE


@pytest.mark.live
def test_everything_is_measured(opensearch_url: str) -> None:
    arguments = ["--quick", "--documents", "200", "--upstream", opensearch_url, "--bundle", str(TINY_BUNDLE)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    for part in (
        "12 tokens",
        "crossing of 100",
        "distinct queries: added, p50",
        "passed through",
        "8 clients",
    ):
        assert part in result.output


def test_a_bundle_that_shares_its_files_is_measured_too() -> None:
    bundle = Bundle.open(find_bundle("bge-small-en-v1.5-light"))
    assert [figure.value > 0 for figure in query_encoding(bundle, 1)] == [True] * len(LENGTHS_TOKENS)


@pytest.mark.live
def test_orders_of_a_collection_are_compared(opensearch_url: str, tmp_path: Path) -> None:
    """Twenty queries, each with a word of its own in five documents, of which one is relevant."""
    pytest.importorskip("lightgbm", reason="needs lightgbm: the dev extra")
    folder = tmp_path / "made"
    folder.mkdir()
    documents = [
        {"_id": f"d{n}-{m}", "title": f"word{n} thing{m}", "text": f"a text about word{n}" + " more" * m}
        for n in range(20)
        for m in range(5)
    ]
    (folder / "corpus.jsonl").write_bytes(lines(*documents))
    (folder / "queries.jsonl").write_bytes(lines(*({"_id": f"q{n}", "text": f"word{n}"} for n in range(20))))
    judged = [f"q{n}\td{n}-{m}\t{int(m == n % 5)}" for n in range(20) for m in range(5)]
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(judged) + "\n")
    options = ["--planted-limit", "20", "--upstream", opensearch_url, "--bundle", str(TINY_BUNDLE)]
    result = CliRunner().invoke(orders, [str(folder), *options])
    assert result.exit_code == 0, result.output
    rows = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in result.output.splitlines() if row[0] == "|"
    ]
    labels = [row[2] for row in rows if row[0] == "made" and len(row) == 7]
    assert labels[:3] == ["BM25", "reranked", "`keep_exact`"]
    assert labels[-2:] == ["combiner, linear", "combiner, lightgbm"]
    repeated = {row[2]: float(row[5]) for row in rows if len(row) == 6}
    assert repeated["reranked"] > 0, "copies are found"


THINGS = ("Hund", "Vogel", "Baum", "Garten", "Schrank", "Koffer", "Teppich", "Spiegel", "Brunnen", "Löffel")


@pytest.mark.live
def test_a_guarded_language_keeps_the_order_of_bm25(opensearch_url: str, tmp_path: Path) -> None:
    """Thirty German texts in a bundle that reads English: the guard passes every query through."""
    folder = tmp_path / "made"
    folder.mkdir()
    documents = [
        {
            "_id": f"d{n}-{m}",
            "text": f"Das ist die Beschreibung von {thing}, und zwar {'sehr ' * m}genau.",
        }
        for n, thing in enumerate(THINGS)
        for m in range(3)
    ]
    queries = ({"_id": f"q{n}", "text": f"Beschreibung von {thing}"} for n, thing in enumerate(THINGS))
    (folder / "corpus.jsonl").write_bytes(lines(*documents))
    (folder / "queries.jsonl").write_bytes(lines(*queries))
    judged = "".join(f"q{n}\td{n}-{n % 3}\t1\n" for n in range(len(THINGS)))
    (folder / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    (folder / "SOURCE.txt").write_text("Made. Analyzer for BM25: german.\n")
    bundle = other_bundle(tmp_path / "english", languages=["en"])
    arguments = [str(folder), "--bundle", str(bundle.path), "--upstream", opensearch_url]
    result = CliRunner().invoke(language_orders, arguments)
    assert result.exit_code == 0, result.output
    row = next(line for line in result.output.splitlines() if line.startswith("| made |"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    name, documents_, queries_, first, without, difference, moved, guarded, _, unmoved, passed = cells
    assert (name, documents_, queries_, passed) == ("made", "30", "10", "100.0%")
    assert (guarded, unmoved) == (first, "0 / 0")
    assert float(without) - float(first) == pytest.approx(float(difference.split()[0]), abs=0.0015)
    assert moved != "0 / 0", "without the guard the model reorders"
    assert "below BM25 by an interval that excludes 0: none" in result.output


def test_a_smaller_collection_keeps_what_is_relevant(tmp_path: Path) -> None:
    documents = [DocumentRecord(id=str(n)) for n in range(100)]
    chosen = [each.id for each in choose_documents(documents, {"7", "93", "gone"}, 10)]
    assert len(chosen) == 10
    assert {"7", "93"} < set(chosen)
    assert chosen == [each.id for each in choose_documents(documents, {"93", "7", "gone"}, 10)]
    assert len(choose_documents(documents, {"7"}, 1_000)) == 100
    assert [each.id for each in choose_documents(documents, {"1", "2", "3"}, 2)] == ["1", "2", "3"]
    assert find_analyzer(tmp_path) == "standard"


@pytest.mark.live
def test_windows_executions_and_sizes_are_measured(opensearch_url: str) -> None:
    arguments = ["--documents", "100", "--rounds", "3", "--upstream", opensearch_url]
    result = CliRunner().invoke(windows, [*arguments, "--bundle", str(TINY_BUNDLE)])
    assert result.exit_code == 0, result.output
    for part in ("1,000", "cluster", "20 KB", "nested inner_hits", "two to one"):
        assert part in result.output


@pytest.mark.live
def test_both_cores_are_measured(opensearch_url: str) -> None:
    arguments = ["--documents", "150", "--rounds", "3", "--requests", "2", "--upstream", opensearch_url]
    result = CliRunner().invoke(cores, [*arguments, "--bundle", str(TINY_BUNDLE)])
    assert result.exit_code == 0, result.output
    for part in ("_count", "with a sort", "repeated", "distinct"):
        assert sum(part in line for line in result.output.splitlines()) == 2, "processor time, and p50"


@pytest.mark.live
def test_the_cost_of_verifying_is_measured(opensearch_url: str) -> None:
    arguments = ["--documents", "150", "--rounds", "3", "--upstream", opensearch_url]
    result = CliRunner().invoke(verifying, [*arguments, "--bundle", str(TINY_BUNDLE)])
    assert result.exit_code == 0, result.output
    assert result.output.count("with verify_at_search") == 3


@pytest.mark.live
def test_a_million_documents_are_measured_in_a_small_form(opensearch_url: str, tmp_path: Path) -> None:
    arguments = ["--documents", "600", "--compared", "200", "--texts", "150", "--rounds", "3"]
    arguments += ["--upstream", opensearch_url, "--bundle", str(TINY_BUNDLE)]
    result = CliRunner().invoke(million, [*arguments, "--to", str(other_bundle(tmp_path / "other").path)])
    assert result.exit_code == 0, result.output
    for part in ("cluster, window 1,000: many to few", "sync of 1 % changed", "verify", "second vector"):
        assert part in result.output


def test_a_turned_vector_keeps_its_length_and_has_its_cosine() -> None:
    vector = np.array([3.0, 0.0, 4.0, 0.0], np.float32)
    turned = turn(vector, 0.97, np.random.default_rng(0))
    assert float(np.linalg.norm(turned)) == pytest.approx(5.0)
    assert float(turned @ vector) / 25 == pytest.approx(0.97)


def test_a_ratio_of_added_times_is_that_of_the_medians() -> None:
    straight = np.arange(1.0, 101.0)
    found = added_ratio("x", (straight, straight + 2.0), (straight, straight + 3.0))
    assert (found.value, found.low, found.high) == (1.5, 1.5, 1.5)


def test_a_difference_that_is_always_the_same_has_no_spread() -> None:
    straight = np.arange(1.0, 101.0)
    found = percentile_difference("added", straight, straight + 2.5, 50, 3.0)
    assert (found.value, found.low, found.high) == (2.5, 2.5, 2.5)
    assert found.within


def test_median_and_quartiles() -> None:
    found = median("x", np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 2.9)
    assert (found.value, found.low, found.high, found.within) == (3.0, 2.0, 4.0, False)


def test_a_rate_has_to_be_reached() -> None:
    assert Figure("rate", 160, 150, 170, "1/s", 150, at_least=True).within
    assert Figure("rate", 160, 150, 170, "1/s").within is None


def test_an_interval_that_reaches_the_budget_is_no_miss() -> None:
    assert Figure("ratio", 1.3, 1.0, 1.6, "times", 1.1, is_interval_judged=True).within
    assert not Figure("ratio", 1.3, 1.2, 1.4, "times", 1.1, is_interval_judged=True).within


def test_queries_are_distinct_and_the_same_each_time() -> None:
    texts = ["one two three four five six seven", "a b c d e", "short"]
    queries = distinct_queries(texts, 300)
    assert len(set(queries)) == 300
    assert queries == distinct_queries(texts, 300)


def test_results_are_replaced_and_the_rest_stays() -> None:
    first = figures_markdown([Figure("a", 1, 1, 1, "ms", 2)], "machine one")
    second = figures_markdown([Figure("b", 3, 3, 3, "ms", 2)], "machine two")
    once = written_into("# Results\n\nText.\n", first)
    twice = written_into(once + "After.\n", second)
    assert twice.startswith("# Results\n\nText.\n")
    assert twice.endswith("After.\n")
    assert "machine one" not in twice
    assert "| b | 3.00 ms | 3.00 to 3.00 | at most 2 | missed |" in twice


@pytest.mark.live
def test_many_indices_are_measured(opensearch_url: str) -> None:
    arguments = ["--indices", "12", "--documents", "100", "--rounds", "3", "--bundle", str(TINY_BUNDLE)]
    where = ["--alone", opensearch_url, "--crowded", opensearch_url]
    result = CliRunner().invoke(many_indices, [*arguments, *where])
    assert result.exit_code == 0, result.output
    for part in ("added, crowded to alone", "each second: the answer", "is followed after", "kB"):
        assert part in result.output


def test_bundles_are_timed_on_the_same_queries(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_bytes(lines({"_id": "q1", "text": "how to sort a file"}))
    names = ["--bundle", str(TINY_BUNDLE), "--bundle", str(TINY_BUNDLE)]
    result = CliRunner().invoke(bundle_queries, [str(tmp_path), *names, "--rounds", "3"])
    assert result.exit_code == 0, result.output
    rows = [line.split(" | ") for line in result.output.splitlines() if line.startswith("| tiny@1 ")]
    assert next(row[3] for row in rows) == "1.00 (1.00 to 1.00) |"
    assert len({row[1] for row in rows}) == 1
