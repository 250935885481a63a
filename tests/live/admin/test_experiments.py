"""An experiment from its start to its report, through the real proxy, with clients whose taste is known."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from opensearchpy import OpenSearch, helpers

from plugin.commands.main import main
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.indices.toy_index import ToyIndex, make_toy_index
from tests.support.running_experiment import await_experiment
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

OWN = "/_plugins/_rerank/experiment"
JSON_BODY = {"Content-Type": "application/json"}
ARMS: dict[str, Any] = {"control": "opensearch", "reranked": {}}
NUM_USERS = 110
"""A few more than the least that a verdict needs."""


@pytest.fixture(scope="module")
def toy(client: OpenSearch, toy_index: ToyIndex) -> Iterator[ToyIndex]:
    yield make_toy_index(client, toy_index.url, toy_index.bundle, "experiment-report", 60)
    client.indices.delete(index="ubi_queries,ubi_events", ignore_unavailable=True)


def call(url: str, method: str, path: str, body: object = None) -> RawAnswer:
    data = None if body is None else json.dumps(body).encode()
    return ask(url, method, f"{OWN}/{path}", data, JSON_BODY if data else {})


def told(answer: RawAnswer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def search(url: str, toy: ToyIndex, client_id: str, query_id: str, **body: object) -> RawAnswer:
    ubi = {"client_id": client_id, "query_id": query_id, "user_query": toy.query_text}
    whole = {"query": toy.query, "size": 10, "ext": {"ubi": ubi}, **body}
    return ask(url, "POST", f"/{toy.name}/_search", json.dumps(whole).encode(), JSON_BODY)


def start(url: str, toy: ToyIndex, experiment: dict[str, Any]) -> None:
    """Start an experiment, after one that may run, and wait until every worker follows it."""
    call(url, "DELETE", toy.name)
    await_experiment(url, toy.name, toy.query, runs=False)
    told(call(url, "PUT", toy.name, experiment))
    await_experiment(url, toy.name, toy.query, runs=True)


def click(query_id: str, object_id: str, minute: int = 0) -> dict[str, Any]:
    moment = (datetime.now(UTC) + timedelta(minutes=minute)).isoformat(timespec="milliseconds")
    return {
        "_index": "ubi_events", "action_name": "click", "query_id": query_id,
        "timestamp": moment.replace("+00:00", "Z"), "event_attributes": {"object": {"object_id": object_id}},
    }  # fmt: skip


def count_recorded(client: OpenSearch, name: str) -> int:
    client.indices.refresh(index="ubi_queries")
    query = {"term": {"query_attributes.twinrank.experiment": name}}
    return int(client.count(index="ubi_queries", body={"query": query})["count"])


def test_users_who_like_the_new_order_make_it_win(proxy_url: str, client: OpenSearch, toy: ToyIndex) -> None:
    """Each user clicks the best hit of the new order that the page shows; the page is made of both."""
    start(proxy_url, toy, {"name": "taste", "arms": ARMS})
    worth = {name: -rank for rank, name in enumerate(toy.expected_order(60))}
    clicks, shown = [], {}
    for number in range(NUM_USERS):
        answer = search(proxy_url, toy, f"user-{number}", f"taste-{number}")
        assert answer.rerank_status.endswith("experiment=taste; arm=interleaved")
        page = [hit["_id"] for hit in json.loads(answer.body)["hits"]["hits"]]
        shown[f"taste-{number}"] = page
        clicks.append(click(f"taste-{number}", max(page, key=lambda each: worth[each])))
    until(lambda: count_recorded(client, "taste") == NUM_USERS, "all pages are recorded")
    recorded = {
        hit["_source"]["query_id"]: hit["_source"] for hit in helpers.scan(client, index="ubi_queries")
    }
    for query_id, page in shown.items():
        assert recorded[query_id]["query_response_hit_ids"] == page
        teams = recorded[query_id]["query_attributes"]["twinrank.teams"].split(",")
        assert len(teams) == len(page)
        assert set(teams) <= {"control", "reranked", "-"}
    others = [click("taste-0", "not-shown"), click("never-searched", "1"), *[clicks[0]] * 3]
    helpers.bulk(client, [*clicks, *others], refresh=True)
    report = told(call(proxy_url, "GET", f"{toy.name}/report"))
    assert (report["name"], report["mode"], report["control"]) == ("taste", "interleave", "control")
    assert report["comparisons"][0]["verdict"] == "treatment", report
    assert report["comparisons"][0]["estimate"]["low"] > 0
    counts = report["clicks"]
    assert (counts["counted"], counts["repeated"]) == (NUM_USERS, 3)
    assert (counts["not_shown"], counts["without_impression"]) == (1, 1)
    found = CliRunner().invoke(main, ["experiment", "report", toy.name, "--upstream", toy.url])
    assert found.exit_code == 0, found.output
    assert "reranked wins: +" in found.output
    assert "Left out: 1 clicks that are on hits that their search did not show." in found.output


def test_a_robot_does_not_decide(proxy_url: str, client: OpenSearch, toy: ToyIndex) -> None:
    """One client with more clicks than count; its report says so, and it is one unit."""
    start(proxy_url, toy, {"name": "robot", "mode": "split", "arms": ARMS})
    clicks = []
    for number in range(30):
        answer = search(proxy_url, toy, "robot", f"robot-{number}")
        clicks += [click(f"robot-{number}", hit["_id"]) for hit in json.loads(answer.body)["hits"]["hits"]]
    search(proxy_url, toy, "person", "person-1")
    until(lambda: count_recorded(client, "robot") == 31, "all pages are recorded")
    helpers.bulk(client, clicks, refresh=True)
    report = told(call(proxy_url, "GET", f"{toy.name}/report"))
    assert report["clicks"] == report["clicks"] | {"counted": 100, "above_limit": 200, "limited_units": 1}
    assert sum(arm["units"] for arm in report["arms"]) == 2
    assert report["comparisons"][0]["verdict"] == "too_few"
    limited = told(call(proxy_url, "GET", f"{toy.name}/report?max_clicks=5"))
    assert limited["clicks"]["counted"] == 5


def test_a_stopped_experiment_keeps_its_report(proxy_url: str, toy: ToyIndex) -> None:
    run = ["--upstream", toy.url]
    second = call(proxy_url, "PUT", toy.name, {"name": "second", "arms": ARMS})
    assert second.status == 400
    assert b"found 'robot', which runs" in second.body
    status = CliRunner().invoke(main, ["experiment", "status", toy.name, *run])
    assert "robot (split) runs" in status.output
    assert "31 pages of 2 units" in status.output
    stopped = CliRunner().invoke(main, ["experiment", "stop", toy.name, *run])
    assert "stopped: robot" in stopped.output
    assert told(call(proxy_url, "GET", toy.name))[toy.name] == {"experiment": None, "runs": []}
    again = CliRunner().invoke(main, ["experiment", "stop", toy.name, *run])
    assert (again.exit_code, "nothing to stop" in again.output) == (1, True)
    unnamed = CliRunner().invoke(main, ["experiment", "report", toy.name, *run])
    assert (unnamed.exit_code, "Name it: --name NAME" in unnamed.output) == (1, True)
    named = CliRunner().invoke(main, ["experiment", "report", toy.name, "--name", "robot", "--json", *run])
    assert json.loads(named.output)["clicks"]["counted"] == 100
    unknown = CliRunner().invoke(main, ["experiment", "report", toy.name, "--name", "never", *run])
    assert "expected a recorded page, found none" in unknown.output


def test_other_settings_make_another_run(proxy_url: str, client: OpenSearch, toy: ToyIndex) -> None:
    await_experiment(
        proxy_url, toy.name, toy.query, runs=False
    )  # not the experiment that the test before has stopped
    start = ["experiment", "start", toy.name, "--upstream", toy.url, "--name", "runs", "--mode", "split"]
    arms = ["--arm", "control=opensearch", "--arm", "reranked={}"]
    dry = CliRunner().invoke(main, [*start, *arms, "--dry-run"])
    assert "would be started: runs" in dry.output
    begun = CliRunner().invoke(main, [*start, *arms])
    assert begun.exit_code == 0, begun.output
    await_experiment(proxy_url, toy.name, toy.query, runs=True)
    search(proxy_url, toy, "a", "runs-0")
    until(lambda: count_recorded(client, "runs") == 1, "it is recorded")
    before = told(call(proxy_url, "GET", f"{toy.name}/report"))["run"]
    settings = json.dumps({"deadline_ms": 9_000}).encode()
    changed = ask(proxy_url, "PUT", f"/_plugins/_rerank/settings/{toy.name}", settings, JSON_BODY)
    assert changed.status == 200, changed.body

    def read_next_run() -> dict[str, Any]:
        search(proxy_url, toy, "a", "runs-1")  # a worker follows the change within a second or so
        return told(call(proxy_url, "GET", f"{toy.name}/report"))

    until(lambda: read_next_run()["run"] != before, "another run")
    runs = told(call(proxy_url, "GET", toy.name))[toy.name]["runs"]
    assert before in [run["run"] for run in runs]
    first = told(call(proxy_url, "GET", f"{toy.name}/report?run={before}"))
    assert (first["run"], first["other_runs"]) == (before, 1)
    wrong = call(proxy_url, "GET", f"{toy.name}/report?run=none")
    assert (wrong.status, b"expected a run 'none', found none" in wrong.body) == (400, True)


def test_a_shadow_is_reported_without_clicks(proxy_url: str, client: OpenSearch, toy: ToyIndex) -> None:
    arms = {"control": {}, "own": "opensearch", "same": {}}
    start(proxy_url, toy, {"name": "dark", "mode": "shadow", "arms": arms})
    for number in range(6):
        assert "arm=control" in search(proxy_url, toy, f"user-{number}", f"dark-{number}").rerank_status
        until(lambda number=number: count_recorded(client, "dark") == number + 1, "it is recorded")  # type: ignore[misc]
    search(proxy_url, toy, "user-0", "dark-0", **{"from": 10})
    until(lambda: count_recorded(client, "dark") == 7, "all pages are recorded")
    report = told(call(proxy_url, "GET", f"{toy.name}/report"))
    assert report["comparisons"] == []
    own, same = report["shadow"]
    assert (own["arm"], own["pages"], same["arm"], same["pages"]) == ("own", 6, "same", 6)
    assert (same["overlap"], same["tau"], same["moved"]) == (1, 1, 0)
    plain, reranked = ([hit["_id"] for hit in toy.first_stage(10)], toy.expected_order(60)[:10])
    assert own["overlap"] == pytest.approx(len(set(plain) & set(reranked)) / 10)
    assert own["tau"] < 1
    text = CliRunner().invoke(main, ["experiment", "report", toy.name, "--upstream", toy.url]).output
    assert "same against control, over 6 first pages: of ten hits 100% are the same" in text
    told(call(proxy_url, "DELETE", toy.name))


def test_a_shadow_of_opensearchs_own_order_is_reported(
    proxy_url: str, client: OpenSearch, toy: ToyIndex
) -> None:
    """Users see OpenSearch's own page; the windows are asked for afterwards."""
    start(proxy_url, toy, {"name": "unseen", "mode": "shadow", "arms": ARMS, "share": 1})
    plain, reranked = ([hit["_id"] for hit in toy.first_stage(10)], toy.expected_order(60)[:10])
    for number in range(4):
        answer = search(proxy_url, toy, f"user-{number}", f"unseen-{number}")
        assert answer.rerank_status == "skipped; reason=experiment; experiment=unseen; arm=control"
        assert [hit["_id"] for hit in json.loads(answer.body)["hits"]["hits"]] == plain
        until(lambda number=number: count_recorded(client, "unseen") == number + 1, "it is recorded")  # type: ignore[misc]
    report = told(call(proxy_url, "GET", f"{toy.name}/report"))
    (found,) = report["shadow"]
    assert (found["arm"], found["pages"]) == ("reranked", 4)
    assert found["overlap"] == pytest.approx(len(set(plain) & set(reranked)) / 10)
    assert report["arms"][0]["searches"] == 4
    told(call(proxy_url, "DELETE", toy.name))


@pytest.mark.parametrize(
    ("bundle", "found"),
    [
        ("none", "expected a bundle beside tiny, or one that comes with Twinrank"),
        ("bge-small-en-v1.5", "it cannot read the same stored vectors"),
        ("../tiny", "expected a text matching"),
    ],
)
def test_an_experiment_with_a_bundle_that_cannot_be_used_is_not_started(
    proxy_url: str, toy: ToyIndex, bundle: str, found: str
) -> None:
    experiment = {"name": "two", "arms": {"control": {}, "b": {"bundle": bundle}}}
    place = "_meta.rerank.experiment.arms.b.bundle: "
    refused = call(proxy_url, "PUT", toy.name, experiment)
    assert refused.status == 400
    reason = json.loads(refused.body)["error"]["reason"]
    assert reason.startswith(place)
    assert found in reason
    changed = json.dumps({"experiment": experiment}).encode()
    also = ask(proxy_url, "PUT", f"/_plugins/_rerank/settings/{toy.name}", changed, JSON_BODY)
    assert (also.status, found in also.body.decode()) == (400, True)
    arm = f'b={{"bundle": "{bundle}"}}'
    start = ["experiment", "start", toy.name, "--name", "two", "--arm", "control={}", "--arm", arm]
    told_by = CliRunner().invoke(main, [*start, "--upstream", toy.url, "--bundle", str(toy.bundle.path)])
    assert told_by.exit_code == 1
    assert found in told_by.output
    assert told(call(proxy_url, "GET", toy.name))[toy.name]["experiment"] is None


def test_settings_tell_of_a_bundle_that_is_not_there(
    proxy_url: str, client: OpenSearch, toy: ToyIndex
) -> None:
    """One that was put into the mapping, where nothing checks it: the searches are reranked as ever."""
    meta = client.indices.get_mapping(index=toy.name)[toy.name]["mappings"]["_meta"]
    experiment = {"name": "two", "arms": {"control": {}, "b": {"bundle": "none"}}}
    changed = {"_meta": {"rerank": meta["rerank"] | {"experiment": experiment}}}
    assert (
        ask(proxy_url, "PUT", f"/{toy.name}/_mapping", json.dumps(changed).encode(), JSON_BODY).status == 200
    )
    report = told(ask(proxy_url, "GET", f"/_plugins/_rerank/settings/{toy.name}"))[toy.name]
    assert [each for each in report["problems"] if each.startswith("experiment.arms.b.bundle: expected a")]
    shown = CliRunner().invoke(
        main, ["settings", toy.name, "--upstream", toy.url, "--bundle", str(toy.bundle.path)]
    )
    assert (shown.exit_code, "wrong: experiment.arms.b.bundle" in shown.output) == (1, True)
    until(
        lambda: search(proxy_url, toy, "anna", "q").rerank_status.endswith("; experiment=no_bundle"),
        "that the worker follows",
    )
    told(call(proxy_url, "DELETE", toy.name))
