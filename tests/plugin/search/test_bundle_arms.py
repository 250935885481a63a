"""Arms with another bundle over the same vectors: loaded when needed, and their queries encoded too."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from werkzeug.test import TestResponse

from plugin.encoding.query_encoder import CachedQueryEncoder
from plugin.experiments.attributes import decode_shadow
from plugin.experiments.order_comparison import compare_orders
from reranker.arrays import Floats
from reranker.bundle import Bundle
from tests.support.experiments.routed_books import NUM_BOOKS, RoutedBooks, routed_books
from tests.support.other_bundle import other_bundle, prefixed_bundle
from tests.support.paths import TINY_BUNDLE
from tests.support.waiting import until

OTHER = {"bundle": "prefixed"}
SPLIT = {"name": "two", "mode": "split", "arms": {"control": {}, "other": OTHER}}
ALL = {"size": NUM_BOOKS}


@pytest.fixture
def own(tmp_path: Path) -> Bundle:
    shutil.copytree(TINY_BUNDLE, tmp_path / "tiny")
    prefixed_bundle(tmp_path / "prefixed")
    return Bundle.open(tmp_path / "tiny")


@contextmanager
def running(own: Bundle, experiment: dict[str, Any], **settings: object) -> Iterator[RoutedBooks]:
    """Run an index with the experiment, once its bundles are loaded."""
    with routed_books(own, experiment, **settings) as books:
        until(lambda: "no_bundle" not in status(books.search()), "that the bundle is loaded")
        books.records()
        books.upstream.sent.clear()
        yield books


def status(answer: TestResponse) -> str:
    return answer.headers["Rerank-Status"]


def ids(answer: TestResponse) -> list[str]:
    return [hit["_id"] for hit in json.loads(answer.data)["hits"]["hits"]]


def search_as(books: RoutedBooks, client: str, **body: object) -> TestResponse:
    return books.search({**ALL, **body}, ubi={"query_id": client, "client_id": client})


def read_order(bundle: Bundle) -> list[str]:
    """Return the order of a window by one bundle alone."""
    with routed_books(bundle, {}) as books:
        answer = books.search(ALL)
        assert status(answer).startswith("applied"), status(answer)
        return ids(answer)


def test_until_its_bundle_is_loaded_an_experiment_has_no_part(own: Bundle) -> None:
    with routed_books(own, SPLIT) as books:
        first = books.search()
        assert status(first).startswith("applied; window=12; scored=12; model=tiny")
        assert status(first).endswith("; experiment=no_bundle")
        assert "load-prefixed" in [each.name for each in threading.enumerate()]
        until(lambda: status(books.search()).endswith(("arm=control", "arm=other")), "that it is loaded")


def test_a_split_reranks_each_unit_by_the_bundle_of_its_arm(own: Bundle, tmp_path: Path) -> None:
    orders = {"control": read_order(own), "other": read_order(Bundle.open(tmp_path / "prefixed"))}
    assert orders["control"] != orders["other"]
    seen = set()
    with running(own, SPLIT) as books:
        for number in range(12):
            answer = search_as(books, f"user-{number}")
            arm = status(answer).rpartition("arm=")[2]
            bundle = {"control": "tiny", "other": "prefixed"}[arm]
            assert f"model={bundle}; bundle={bundle}@1; execution=sidecar" in status(answer)
            assert ids(answer) == orders[arm]
            seen.add(arm)
        records = books.records()
    assert seen == {"control", "other"}
    assert {each["query_attributes"]["twinrank.model"] for each in records} == {"tiny", "prefixed"}
    assert len({each["query_attributes"]["twinrank.run"] for each in records}) == 1


def test_an_interleaved_page_is_made_of_both_bundles(own: Bundle, tmp_path: Path) -> None:
    orders = [read_order(own), read_order(Bundle.open(tmp_path / "prefixed"))]
    pages = set()
    with running(own, SPLIT | {"mode": "interleave"}) as books:
        for number in range(8):
            answer = search_as(books, f"user-{number}")
            assert status(answer).endswith("experiment=two; arm=interleaved")
            page = ids(answer)
            assert page[0] in {order[0] for order in orders}
            assert set(page[:2]) <= {*orders[0][:2], *orders[1][:2]}
            assert sorted(page) == sorted(orders[0])
            pages.add(tuple(page))
            later = ids(search_as(books, f"user-{number}", **{"from": 5, "size": 7}))
            assert page[5:] == later
        teams = {each["query_attributes"]["twinrank.teams"] for each in books.records()}
    assert len(pages) > 1
    assert {name for each in teams for name in each.split(",")} >= {"control", "other"}


def test_a_shadow_encodes_the_other_bundles_query_after_the_answer(own: Bundle, tmp_path: Path) -> None:
    plain, other = read_order(own), read_order(Bundle.open(tmp_path / "prefixed"))
    with running(own, SPLIT | {"mode": "shadow"}) as books:
        until(lambda: len(books.queue) > 0, "the record of the search that loaded it")
        books.records()
        encoder = books.model.choose("prefixed").query_vectors
        text = " ".join(reversed(books.words.split()))
        answer = books.search({**ALL, "query": {"match": {"text": text}}})
        assert not encoder.knows(text)
        assert "model=tiny" in status(answer)
        until(lambda: len(books.queue) == 1, "its record")
        assert encoder.knows(text)
        books.records()
        search_as(books, "anna")
        until(lambda: len(books.queue) == 1, "its record")
        (record,) = books.records()
    found = decode_shadow(record["query_attributes"]["twinrank.shadow"])["other"]
    expected = compare_orders(
        np.array([int(each) for each in plain]), np.array([int(each) for each in other])
    )
    assert found == replace(
        expected,
        overlap=round(expected.overlap, 4),
        tau=round(expected.tau, 4),
        mean_change=found.mean_change,
    )


def test_opensearchs_own_order_may_be_compared_with_several_bundles(own: Bundle) -> None:
    arms = {"control": "opensearch", "own": {}, "other": OTHER, "same": {**OTHER, "fusion": {"weight": 0}}}
    dark = {"name": "dark", "mode": "shadow", "arms": arms, "share": 1}
    with running(own, dark) as books:
        until(lambda: len(books.queue) > 0, "the record of the search that loaded it")
        books.records()
        assert status(search_as(books, "anna")) == "skipped; reason=experiment; experiment=dark; arm=control"
        until(lambda: len(books.queue) == 1, "its record")
        (record,) = books.records()
    found = decode_shadow(record["query_attributes"]["twinrank.shadow"])
    assert found.keys() == {"own", "other", "same"}
    assert found["own"] != found["other"]
    assert found["same"].tau == 1


def test_users_of_a_shadow_see_opensearchs_own_order_while_its_bundle_is_loaded(own: Bundle) -> None:
    arms = {"control": "opensearch", "other": {"bundle": "none"}}
    with routed_books(own, {"name": "dark", "mode": "shadow", "arms": arms, "share": 1}) as books:
        assert status(books.search()) == "skipped; reason=experiment; experiment=no_bundle"
        assert "twinrank.arm" not in books.records()[0]["query_attributes"]


@pytest.mark.parametrize("mode", ["split", "interleave"])
def test_only_the_bundles_that_a_search_needs_encode_its_query(own: Bundle, mode: str) -> None:
    arms = {"control": "opensearch", "other": OTHER}
    with running(own, {"name": "two", "mode": mode, "arms": arms}) as books:
        text = " ".join(reversed(books.words.split()))  # the other text was reranked while it was loaded
        for number in range(12):
            search_as(books, f"user-{number}", query={"match": {"text": text}})
        both = (books.model.query_vectors, books.model.choose("prefixed").query_vectors)
        assert [each.knows(text) for each in both] == [False, True]


def test_a_page_that_lacks_one_of_two_vectors_shows_the_first_stage_and_stays_in_its_arm(own: Bundle) -> None:
    """The deadline is for both encodings together."""
    goes_on = threading.Event()

    def wait(text: str) -> Floats:
        goes_on.wait(60)
        raise RuntimeError(text)

    with running(own, SPLIT | {"mode": "interleave"}, deadline_ms=300) as books:
        encoder = books.model.choose("prefixed").query_vectors
        encoder._encode = wait
        text = " ".join(reversed(books.words.split()))
        answer = books.search({**ALL, "query": {"match": {"text": text}}})
        goes_on.set()
    assert status(answer) == "skipped; reason=deadline; experiment=two; arm=interleaved"
    assert ids(answer) == [str(number) for number in range(NUM_BOOKS)]


def test_several_searches_at_once_have_the_bundles_of_their_arms(own: Bundle, tmp_path: Path) -> None:
    orders = {"control": read_order(own), "other": read_order(Bundle.open(tmp_path / "prefixed"))}
    with running(own, SPLIT) as books:
        units = [f"user-{number}" for number in range(8)]
        arms = {unit: status(search_as(books, unit)).rpartition("arm=")[2] for unit in units}
        assert set(arms.values()) == {"control", "other"}
        query = {"query": {"match": {"text": books.words}}, **ALL}
        bodies = [query | {"ext": {"ubi": {"client_id": unit, "query_id": unit}}} for unit in units]
        lines = "".join(f'{{"index": "books"}}\n{json.dumps(body)}\n' for body in bodies)
        headers = {"Content-Type": "application/x-ndjson"}
        answer = books.client.post("/_msearch", data=lines, headers=headers, buffered=True)
        pages = [
            [hit["_id"] for hit in each["hits"]["hits"]] for each in json.loads(answer.data)["responses"]
        ]
    assert pages == [orders[arms[unit]] for unit in units]


def test_a_cluster_search_is_scored_in_the_proxy(own: Bundle) -> None:
    with running(own, SPLIT, execution="cluster") as books:
        assert "execution=sidecar; fallback=experiment" in status(search_as(books, "anna"))


@pytest.mark.parametrize("name", ["none", "stranger"])
def test_a_bundle_that_cannot_be_used_leaves_searches_as_they_are(
    own: Bundle, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    other_bundle(tmp_path / "stranger", "stranger")
    with routed_books(own, SPLIT | {"arms": {"control": {}, "other": {"bundle": name}}}) as books:
        books.search()
        until(lambda: f"{name} cannot be loaded: expected a bundle" in caplog.text, "the reason")
        assert status(books.search()).endswith("; experiment=no_bundle")
        assert status(books.search()).startswith("applied")


def test_the_proxys_own_bundle_may_be_named(own: Bundle) -> None:
    arms = {"control": {"bundle": own.label}, "opensearch": "opensearch"}
    with routed_books(own, SPLIT | {"arms": arms}) as books:
        assert status(books.search()).partition("arm=")[2] in arms
        assert "load-tiny" not in [each.name for each in threading.enumerate()]


def test_another_encoder_does_not_change_the_counters_of_the_own_one(own: Bundle) -> None:
    with running(own, SPLIT) as books:
        other = books.model.choose("prefixed")
        assert other.in_flight is books.model.in_flight
        assert other.admission.service is books.model.admission.service
        assert isinstance(other.query_vectors, CachedQueryEncoder)
        assert other.query_vectors is not books.model.query_vectors
