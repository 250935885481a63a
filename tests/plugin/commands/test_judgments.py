"""`twinrank judgments` on a real index: simulated people, a machine, and what cannot count."""

import csv
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch

from plugin.commands.main import main
from plugin.evaluation.collection import read_collection
from reranker.judgements import read_judgement_file
from reranker.query_files import read_query_file
from tests.support.http.recording_relay import recording_relay
from tests.support.ubi_log import UbiLog

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

DOCUMENTS = [f"d{n}" for n in range(10)]

LIKES = {"red shoe": {"d3": 0.8, "d5": 0.4}, "blue shoe": {"d7": 0.8}}

Run = Callable[..., Result]


@pytest.fixture
def log(client: OpenSearch) -> Iterator[UbiLog]:
    name = uuid.uuid4().hex[:8]
    made = UbiLog(client, f"queries-{name}", f"events-{name}")
    made.create()
    yield made
    made.delete()


@pytest.fixture
def run(client: OpenSearch, opensearch_url: str, index_name: str, log: UbiLog, tmp_path: Path) -> Run:
    """Return the command, on an index that has the documents."""
    for document in DOCUMENTS:
        client.index(index=index_name, id=document, body={"title": document, "sku": f"S-{document}"})
    client.indices.refresh(index=index_name)

    def invoke(*arguments: str, url: str = opensearch_url) -> Result:
        where = ["--ubi-queries", log.queries, "--ubi-events", log.events, "--out", str(tmp_path / "out")]
        return CliRunner().invoke(main, ["judgments", index_name, *where, *arguments, "--upstream", url])

    return invoke


def simulate(log: UbiLog) -> None:
    for seed, (text, likes) in enumerate(LIKES.items()):
        log.write(log.simulate_people(text, DOCUMENTS, likes, 600, seed))


def grades(folder: Path) -> dict[str, dict[str, float]]:
    """Return the grades that were written, by the texts of the queries."""
    texts = {id_: query.text for id_, query in read_query_file(folder / "queries.csv").items()}
    found = read_judgement_file(folder / "judgments.csv").grades
    return {texts[id_]: each for id_, each in found.items()}


def select_liked(found: dict[str, dict[str, float]]) -> dict[str, list[str]]:
    """Return the documents that are better than others at their places."""
    return {text: [id_ for id_, grade in each.items() if grade >= 2] for text, each in found.items()}


def test_what_people_like_is_judged_whatever_its_place(log: UbiLog, run: Run, tmp_path: Path) -> None:
    simulate(log)
    done = run()
    assert done.exit_code == 0, done.output
    assert "1,200 recorded searches" in done.stdout
    found = grades(tmp_path / "out")
    assert set(found) == set(LIKES)
    for text, likes in LIKES.items():
        best = max(likes, key=lambda document: likes[document])
        assert found[text][best] == 3
        assert set(found[text]) == set(DOCUMENTS)
        assert select_liked(found)[text] == sorted(likes)


def test_ten_thousand_clicks_of_one_client_change_nothing(log: UbiLog, run: Run, tmp_path: Path) -> None:
    simulate(log)
    run()
    before = select_liked(grades(tmp_path / "out"))

    def machine() -> Iterator[dict[str, object]]:
        for n in range(10_000):
            yield log.record_search(f"machine-{n}", "red shoe", DOCUMENTS, "machine")
            yield log.record_click(f"machine-{n}", "d0", "machine")

    log.write(machine())
    done = run("--json")
    assert done.exit_code == 0, done.output
    counts = json.loads(done.stdout)
    assert (counts["capped_pages"], counts["capped_clients"]) == (9_995, 1)
    assert select_liked(grades(tmp_path / "out")) == before


def test_everything_that_does_not_count_is_told(log: UbiLog, run: Run, index_name: str) -> None:
    shown = [*DOCUMENTS, "gone"]
    records = [
        *(log.record_search(f"s{n}", "red", shown, f"c{n}") for n in range(25)),
        *(log.record_click(f"s{n}", "d1", f"c{n}") for n in range(25)),
        log.record_click("s1", "never shown", "c1"),
        log.record_click("no such search", "d1", "c1"),
        log.record_search("t1", "", shown, "c1"),
        log.record_search("t2", "no hits", [], "c1"),
        {"_index": log.events, "_source": {"action_name": "click", "query_id": "s1"}},
        {"_index": log.events, "_source": {"action_name": "hover", "query_id": "s1"}},
    ]
    log.write(iter(records))
    done = run()
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[:6] == [
        "27 recorded searches, 28 clicks",
        "10 documents judged, each shown at least 20 times for its query",
        "Left out: 2 searches without a text (ext.ubi.user_query) or without hits",
        "Left out: 1 clicks without a query_id or an object_id",
        "Left out: 2 clicks on a document that no recorded search showed",
        f"Left out: 1 judgements of documents that are not in {index_name}",
    ]


def test_it_asks_for_no_more_than_is_documented(
    log: UbiLog, run: Run, opensearch_url: str, client: OpenSearch
) -> None:
    log.write(log.simulate_people("red", DOCUMENTS, {}, 40, 1))
    with recording_relay(opensearch_url) as (url, actions):
        done = run(url=url)
    assert done.exit_code == 0, done.output
    assert actions == {
        "indices:admin/get",
        "indices:data/read/search",
        "indices:data/read/point_in_time/create",
        "indices:data/read/point_in_time/delete",
    }


def test_records_are_chosen_by_time_and_application(log: UbiLog, run: Run, tmp_path: Path) -> None:
    late = {"timestamp": "2026-11-20T12:00:00.000Z", "application": "shop"}
    log.write(log.record_search(f"a{n}", "old", DOCUMENTS, f"c{n}") for n in range(30))
    log.write(log.record_search(f"b{n}", "new", DOCUMENTS, f"c{n}", **late) for n in range(30))
    assert run("--since", "2026-11-10").exit_code == 0
    with (tmp_path / "out" / "queries.csv").open() as file:
        assert [row["query"] for row in csv.DictReader(file)] == ["new"]
    assert run("--application", "shop").exit_code == 0
    with (tmp_path / "out" / "queries.csv").open() as file:
        assert [row["query"] for row in csv.DictReader(file)] == ["new"]


def test_the_layout_of_beir_is_a_whole_collection(log: UbiLog, run: Run, tmp_path: Path) -> None:
    simulate(log)
    assert run("--format", "beir", "--field", "title").exit_code == 0
    found = read_collection(tmp_path / "out")
    assert (found.num_documents, found.num_missing) == (len(DOCUMENTS), 0)
    assert set(found.queries.values()) == set(LIKES)
    without = run("--format", "beir")
    assert (without.exit_code, "--field" in without.stderr) == (2, True)


def test_records_may_name_a_document_by_a_field(log: UbiLog, run: Run, tmp_path: Path) -> None:
    named, likes = [f"S-{document}" for document in DOCUMENTS], {"S-d3": 0.9}
    log.write(log.simulate_people("red", [*named[:9], "S-gone"], likes, 200, 5))
    done = run("--id-field", "sku.keyword", "--format", "beir", "--field", "title", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["not_in_index"] == 1
    found = read_collection(tmp_path / "out")
    assert (found.num_documents, found.num_missing) == (9, 0)
    [judged] = found.qrels.values()
    assert (set(judged), judged["d3"]) == (set(DOCUMENTS[:9]), 3)


def test_nothing_to_learn_from_is_a_plain_sentence(log: UbiLog, run: Run) -> None:
    few = run()
    assert (few.exit_code, "Lower --min-impressions, or wait" in few.stderr) == (1, True)
    missing = run("--ubi-events", "nosuch")
    assert missing.exit_code == 1
    assert "expected an index nosuch with what User Behavior Insights recorded, found none" in missing.stderr
