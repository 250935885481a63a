"""Experiments on a real OpenSearch: which search has which arm, its page, and what the header says."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.encoding.query_encoder import CachedQueryEncoder
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from reranker.arrays import Floats
from tests.support.http.raw_http import ask
from tests.support.indices.toy_index import ToyIndex, index_body, make_toy_index

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

WINDOW = 40
UNIT = {"header": "X-Session"}
ARMS: dict[str, Any] = {"control": "opensearch", "reranked": {}}
INTERLEAVE = {"name": "mixed", "mode": "interleave", "arms": ARMS, "unit": UNIT}
SPLIT = {"name": "halves", "mode": "split", "arms": ARMS, "unit": UNIT}


@pytest.fixture(scope="module")
def toy(client: OpenSearch, toy_index: ToyIndex) -> ToyIndex:
    return make_toy_index(client, toy_index.url, toy_index.bundle, "experiments", 70)


@pytest.fixture(scope="module")
def proxied(toy: ToyIndex) -> Iterator[Client]:
    with closing(Upstream(toy.url)) as upstream:
        yield Client(Proxy(upstream, Model.load(toy.bundle)))


Run = Callable[..., None]


@pytest.fixture
def run(toy: ToyIndex, proxied: Client) -> Run:
    """Return what makes an experiment run on the index, through the proxy, which follows it at once."""

    def start(experiment: dict[str, Any], **more: object) -> None:
        body = index_body(toy.bundle, window_size=WINDOW, experiment=experiment, **more)
        meta = {"_meta": body["mappings"]["_meta"]}
        answer = proxied.put(f"/{toy.name}/_mapping", json=meta, buffered=True)
        assert answer.status_code == 200, answer.data

    return start


def search(
    proxied: Client,
    toy: ToyIndex,
    unit: str | None = "anna",
    from_: int = 0,
    **body: Any,  # noqa: ANN401
) -> TestResponse:
    headers = {} if unit is None else {"X-Session": unit}
    whole = {"query": toy.query, "from": from_, "size": 10, **body}
    answer = proxied.post(f"/{toy.name}/_search", json=whole, headers=headers, buffered=True)
    assert answer.status_code == 200, answer.data
    return answer


def ids(answer: TestResponse) -> list[str]:
    return [hit["_id"] for hit in json.loads(answer.data)["hits"]["hits"]]


def status(answer: TestResponse) -> str:
    return answer.headers["Rerank-Status"]


def first_stage(toy: ToyIndex, size: int = 70) -> list[str]:
    return [hit["_id"] for hit in toy.first_stage(size)]


def test_interleaved_pages_show_every_hit_once(
    toy: ToyIndex, proxied: Client, run: Run, is_long: bool
) -> None:
    """Whatever the unit and the edges of pages; both arms are a window of one shard or of the whole."""
    run(INTERLEAVE)
    own = first_stage(toy)
    orders = set()

    @settings(
        max_examples=400 if is_long else 30, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.text("abcdefgh", min_size=1, max_size=4), st.lists(st.integers(1, 30), max_size=4))
    def every_page(unit: str, sizes: list[int]) -> None:
        found: list[str] = []
        for size in [*sizes, 70]:
            answer = search(proxied, toy, unit, len(found), size=size)
            inside = len(found) < WINDOW
            assert status(answer).startswith("applied" if inside else "skipped; reason=beyond_window")
            assert status(answer).endswith("experiment=mixed; arm=interleaved") is inside
            found += ids(answer)
            if len(found) >= len(own):
                break
        assert sorted(found) == sorted(own)
        assert found[WINDOW:] == own[WINDOW:]
        assert found == ids(search(proxied, toy, unit, size=70))  # pages agree
        orders.add(tuple(found))

    every_page()
    assert len(orders) > 5


def test_an_interleaved_page_is_made_of_both_orders(toy: ToyIndex, proxied: Client, run: Run) -> None:
    run(INTERLEAVE)
    own, reranked = first_stage(toy), toy.expected_order(WINDOW)
    for unit in "abcde":
        found = ids(search(proxied, toy, unit, size=2))
        assert set(found) <= {*own[:2], *reranked[:2]}
        assert found[0] in (own[0], reranked[0])
    scores = [hit["_score"] for hit in json.loads(search(proxied, toy).data)["hits"]["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_a_cluster_search_is_interleaved_in_the_proxy(toy: ToyIndex, proxied: Client, run: Run) -> None:
    run(INTERLEAVE, execution="cluster")
    found = status(search(proxied, toy))
    assert found.endswith("execution=sidecar; fallback=experiment; experiment=mixed; arm=interleaved")


def test_a_split_keeps_each_unit_in_its_arm(toy: ToyIndex, proxied: Client, run: Run) -> None:
    run(SPLIT)
    reranked, seen = toy.expected_order(WINDOW), set()
    for number in range(12):
        answers = [search(proxied, toy, f"user-{number}", size=WINDOW) for _ in range(2)]
        assert len({status(answer) for answer in answers}) == 1
        arm = status(answers[0]).rpartition("arm=")[2]
        seen.add(arm)
        if arm == "control":
            assert status(answers[0]) == "skipped; reason=experiment; experiment=halves; arm=control"
            assert ids(answers[0]) == first_stage(toy, WINDOW)
        else:
            assert status(answers[0]).startswith("applied; window=40")
            assert ids(answers[0]) == reranked
    assert seen == {"control", "reranked"}


def test_the_first_stage_arm_is_opensearchs_own_answer(toy: ToyIndex, proxied: Client, run: Run) -> None:
    run(SPLIT | {"arms": {"control": "opensearch", "reranked": {}}})
    unit = next(each for each in map(str, range(50)) if "arm=control" in status(search(proxied, toy, each)))
    body = json.dumps({"query": toy.query, "size": 3, "_source": ["n"]}).encode()
    headers = {"Content-Type": "application/json", "X-Session": unit}
    through = proxied.post(f"/{toy.name}/_search", data=body, headers=headers, buffered=True)
    straight = ask(toy.url, "POST", f"/{toy.name}/_search", body, headers).body
    found, own = (json.loads(raw) | {"took": 0} for raw in (through.data, straight))
    assert found == own


def test_other_settings_in_an_arm_make_another_order(toy: ToyIndex, proxied: Client, run: Run) -> None:
    arms = {"control": {}, "own": {"fusion": {"weight": 0}}}
    run({"name": "weights", "mode": "split", "arms": arms, "unit": UNIT})
    found = {}
    for number in range(12):
        answer = search(proxied, toy, f"user-{number}", size=WINDOW)
        assert status(answer).startswith("applied")
        found[status(answer).rpartition("arm=")[2]] = ids(answer)
    assert found == {"control": toy.expected_order(WINDOW), "own": first_stage(toy, WINDOW)}


@pytest.mark.parametrize(
    ("unit", "change", "body", "word"),
    [
        (None, {}, {}, "no_unit"),
        ("", {}, {}, "no_unit"),
        ("anna", {"share": 1e-9}, {}, "outside_share"),
        ("anna", {}, {"ext": {"rerank": {"fusion": {"weight": 3}}}}, "own_settings"),
        ("anna", {}, {"ext": {"rerank": {"window_size": 20}}}, "own_settings"),
    ],
)
def test_a_search_without_a_part_is_reranked_as_ever(
    toy: ToyIndex,
    proxied: Client,
    run: Run,
    unit: str | None,
    change: dict[str, Any],
    body: dict[str, Any],
    word: str,
) -> None:
    run(SPLIT | change)
    before = count(proxied, word)
    answer = search(proxied, toy, unit, **body)
    assert status(answer).startswith("applied")
    assert status(answer).endswith(f"; experiment={word}")
    assert count(proxied, word) == before + 1


def count(proxied: Client, word: str) -> float:
    metrics = proxied.get("/_plugins/_rerank/metrics", buffered=True).text
    name = f'twinrank_experiment_searches_total{{assignment="{word}"}} '
    return sum(float(line.removeprefix(name)) for line in metrics.splitlines() if line.startswith(name))


def test_an_explained_search_and_its_text_may_have_a_part(toy: ToyIndex, proxied: Client, run: Run) -> None:
    run(INTERLEAVE)
    rerank = {"explain": True, "query_context": {"query_text": toy.query_text}}
    answer = search(proxied, toy, ext={"rerank": rerank})
    assert status(answer).endswith("arm=interleaved")
    assert all("crossing" in hit["_rerank"] for hit in json.loads(answer.data)["hits"]["hits"])


def test_a_search_that_no_arm_reranks_has_no_part(toy: ToyIndex, proxied: Client, run: Run) -> None:
    run(SPLIT)
    for number in range(6):
        answer = search(proxied, toy, f"user-{number}", sort=["n"])
        assert status(answer) == "skipped; reason=sort"


def test_each_item_of_several_searches_is_by_itself(toy: ToyIndex, proxied: Client, run: Run) -> None:
    run(INTERLEAVE)
    bodies = [
        {"query": toy.query, "size": 5},
        {"query": toy.query, "sort": ["n"]},
        {"query": toy.query, "from": 5},
    ]
    lines = "".join(f"{{}}\n{json.dumps(body)}\n" for body in bodies)
    headers = {"Content-Type": "application/x-ndjson", "X-Session": "anna"}
    answer = proxied.post(f"/{toy.name}/_msearch", data=lines, headers=headers, buffered=True)
    first, _, last = ([hit["_id"] for hit in each["hits"]["hits"]] for each in answer.json["responses"])  # type: ignore[index]
    assert first == ids(search(proxied, toy, size=5))
    assert last == ids(search(proxied, toy, from_=5))


def test_a_search_that_ends_in_first_stage_order_stays_in_its_arm(toy: ToyIndex, run: Run) -> None:
    """Intention to treat: what a treatment costs in failures counts for it."""
    run(SPLIT | {"arms": {"control": {}, "lighter": {"fusion": {"weight": 1}}}})

    def broken(text: str) -> Floats:
        raise RuntimeError("the encoder has had enough")

    with closing(Upstream(toy.url)) as upstream:
        model = replace(Model.load(toy.bundle), query_vectors=CachedQueryEncoder(broken))
        failing = Client(Proxy(upstream, model))
        arms = {status(search(failing, toy, f"user-{number}")) for number in range(12)}
    assert arms == {f"skipped; reason=model; experiment=halves; arm={arm}" for arm in ("control", "lighter")}


def test_a_change_of_the_experiment_is_followed_and_an_invalid_one_is_no_experiment(
    toy: ToyIndex, proxied: Client, run: Run
) -> None:
    run(SPLIT)
    assert "experiment=halves" in status(search(proxied, toy))
    run(INTERLEAVE)
    assert "experiment=mixed" in status(search(proxied, toy))
    run(INTERLEAVE | {"arms": {"control": {}}})
    assert status(search(proxied, toy)) == "skipped; reason=settings"
    run({})
    assert "experiment" not in status(search(proxied, toy))


def test_a_shadow_shows_the_control_and_compares_the_others_afterwards(
    toy: ToyIndex, proxied: Client, run: Run
) -> None:
    arms = {"control": {}, "own": "opensearch", "same": {}}
    run({"name": "dark", "mode": "shadow", "arms": arms, "unit": UNIT}, execution="cluster")
    answer = search(proxied, toy, size=WINDOW)
    assert ids(answer) == toy.expected_order(WINDOW)
    assert status(answer).endswith("execution=sidecar; fallback=experiment; experiment=dark; arm=control")
    assert status(search(proxied, toy, None)).endswith("experiment=no_unit")


def test_exact_matches_come_first_on_an_interleaved_page(toy: ToyIndex, proxied: Client, run: Run) -> None:
    """They are placed after the two orders are made one."""
    chosen = first_stage(toy, WINDOW)[-1]
    change = {"doc": {"exact": toy.query_text}}
    toy.client.update(index=toy.name, id=chosen, body=change, refresh=True)
    run(INTERLEAVE)
    plain = {unit: ids(search(proxied, toy, unit, size=WINDOW)) for unit in "abc"}
    assert all(chosen in page[1:] for page in plain.values())
    run(INTERLEAVE, keep_exact=["exact.keyword"])
    for unit, before in plain.items():
        answer = search(proxied, toy, unit, size=WINDOW)
        assert "arm=interleaved" in status(answer)
        assert ids(answer) == [chosen, *(each for each in before if each != chosen)]


def test_pins_are_on_their_places_of_an_interleaved_page(toy: ToyIndex, proxied: Client, run: Run) -> None:
    """They are placed after the two orders are made one, and the other hits keep their order."""
    run(INTERLEAVE)
    chosen = first_stage(toy, WINDOW)[-1]
    plain = {unit: ids(search(proxied, toy, unit, size=WINDOW)) for unit in "abc"}
    run(INTERLEAVE, rules=[{"then": {"pin": [{"id": chosen, "position": 2}]}}])
    for unit, before in plain.items():
        answer = search(proxied, toy, unit, size=WINDOW)
        assert "; rules=pin:1; " in status(answer)
        assert "arm=interleaved" in status(answer)
        first, *others = (each for each in before if each != chosen)
        assert ids(answer)[: WINDOW // 2] == [first, chosen, *others][: WINDOW // 2]
