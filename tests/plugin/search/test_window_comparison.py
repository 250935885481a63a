"""Shadows of searches that show OpenSearch's own order: what is sent, when, as whom, and what is recorded."""

import gc
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from opensearch.settings.experiment import SHARE_OF_SEARCHES
from plugin.experiments.attributes import decode_shadow
from plugin.experiments.order_comparison import OrderComparison
from plugin.http.messages import Request
from reranker.arrays import Floats
from reranker.bundle import Bundle
from tests.support.experiments.routed_books import SEARCH, RoutedBooks, routed_books
from tests.support.paths import TINY_BUNDLE
from tests.support.waiting import until

ARMS: dict[str, Any] = {"control": "opensearch", "reranked": {}, "same": {"fusion": {"weight": 0}}}
DARK = {"name": "dark", "mode": "shadow", "arms": ARMS, "share": 1}
STATUS = "skipped; reason=experiment; experiment=dark; arm=control"


@pytest.fixture
def books() -> Iterator[RoutedBooks]:
    with routed_books(Bundle.open(TINY_BUNDLE), DARK) as found:
        yield found


def read_records(books: RoutedBooks, number: int) -> list[dict[str, Any]]:
    """Return the records once there are so many."""
    until(lambda: len(books.queue) >= number, "the records", lambda: len(books.queue))
    return books.records()


def count(books: RoutedBooks, result: str) -> float:
    metrics = books.client.get("/_plugins/_rerank/metrics", buffered=True).text
    name = f'twinrank_shadow_comparisons_total{{result="{result}"}} '
    return sum(float(line.removeprefix(name)) for line in metrics.splitlines() if line.startswith(name))


def test_the_clients_own_search_is_shown_and_the_window_comes_after_the_answer(books: RoutedBooks) -> None:
    body = {"size": 4, "_source": ["text"], "track_total_hits": False}
    found = books.search(body, Authorization="Basic YQ==")
    assert found.headers["Rerank-Status"] == STATUS
    assert [hit["_id"] for hit in found.json["hits"]["hits"]] == ["0", "1", "2", "3"]  # type: ignore[index]
    first = books.sent_bodies()[0]
    assert first == {"query": {"match": {"text": books.words}}, **body}
    assert len(books.sent_bodies()) == 1, "the window was asked for before the answer"
    (record,) = read_records(books, 1)
    own, window = books.upstream.sent_to(SEARCH)
    assert json.loads(window.body)["size"] == 100
    assert "_source" not in json.loads(window.body)
    assert window.headers["Authorization"] == own.headers["Authorization"]
    assert record["query_response_hit_ids"] == ["0", "1", "2", "3"]
    attributes = record["query_attributes"]
    assert (attributes["twinrank.arm"], attributes["twinrank.outcome"]) == ("control", "experiment")
    compared = decode_shadow(attributes["twinrank.shadow"])
    assert compared["same"] == OrderComparison(1.0, 1.0, 0, 0.0)
    assert compared["reranked"].tau < 1
    assert count(books, "compared") == 1


def test_a_comparison_is_that_of_the_reranked_page(books: RoutedBooks) -> None:
    """The same numbers as if the reranked page were shown beside the plain one."""
    books.search()
    (record,) = read_records(books, 1)
    compared = decode_shadow(record["query_attributes"]["twinrank.shadow"])["reranked"]
    plain = books.search({"ext": {"rerank": {"fusion": {"weight": 0}}}})
    reranked = books.search({"ext": {"rerank": {"score": "fused"}}})
    pages = [[hit["_id"] for hit in each.json["hits"]["hits"]] for each in (plain, reranked)]  # type: ignore[index]
    assert compared.overlap == len(set(pages[0]) & set(pages[1])) / 10
    assert compared.moved == sum(a != b for a, b in zip(*pages, strict=True))


@pytest.mark.parametrize("body", [{"from": 10}, {"sort": ["n"]}, {"size": 0}], ids=str)
def test_later_pages_and_searches_that_no_arm_reranks_are_not_compared(
    books: RoutedBooks, body: dict[str, Any]
) -> None:
    books.search(body)
    (record,) = read_records(books, 1)
    assert "twinrank.shadow" not in record["query_attributes"]
    assert len(books.sent_bodies()) == 1


def test_a_search_that_is_not_recorded_is_not_asked_for_twice() -> None:
    unit = {"header": "X-Session"}
    with routed_books(Bundle.open(TINY_BUNDLE), DARK | {"unit": unit}) as books:
        found = books.search({"ext": {}}, **{"X-Session": "anna"})
        assert found.headers["Rerank-Status"] == STATUS
        books.search()
        read_records(books, 1)
        assert len(books.sent_bodies()) == 3


def test_only_a_share_of_searches_is_compared_and_every_unit_takes_part() -> None:
    with routed_books(Bundle.open(TINY_BUNDLE), DARK | {"share": None}) as books:
        for number in range(60):
            ubi = {"query_id": str(number), "client_id": str(number)}
            assert books.search(ubi=ubi).headers["Rerank-Status"] == STATUS
        read_records(books, 60)
        num_windows = len(books.sent_bodies()) - 60
        assert SHARE_OF_SEARCHES == 0.05
        assert num_windows <= 16, "more than chance explains once in a million times"


def test_a_vector_that_is_late_for_clients_is_in_time_for_the_comparison() -> None:
    """Nobody waits for it any more, so a busy machine costs no comparisons."""
    with routed_books(Bundle.open(TINY_BUNDLE), DARK, deadline_ms=1) as books:
        encoder = books.model.query_vectors
        encode = encoder._encode

        def take_long(text: str) -> Floats:
            time.sleep(0.1)
            return encode(text)

        encoder._encode = take_long
        books.search()
        (record,) = read_records(books, 1)
        assert set(decode_shadow(record["query_attributes"]["twinrank.shadow"])) == {"reranked", "same"}
        assert count(books, "compared") == 1


@pytest.mark.parametrize("status", [400, 500, 429])
def test_a_window_that_cannot_be_had_costs_the_comparison_alone(books: RoutedBooks, status: int) -> None:
    plain = books.upstream.routes[SEARCH]
    error = {"error": {"type": "x", "reason": "no window"}, "status": status}
    books.upstream.routes[SEARCH] = lambda sent: (
        (status, error) if b'"docvalue_fields"' in sent.body else plain(sent)
    )
    assert books.search().headers["Rerank-Status"] == STATUS
    (record,) = read_records(books, 1)
    assert "twinrank.shadow" not in record["query_attributes"]
    assert count(books, "failed") == 1


def test_nothing_is_asked_for_while_queries_wait(books: RoutedBooks) -> None:
    books.model.query_vectors._num_waiting = 1
    books.search()
    (record,) = read_records(books, 1)
    assert "twinrank.shadow" not in record["query_attributes"]
    assert (len(books.sent_bodies()), count(books, "busy")) == (1, 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_credentials_are_forgotten_once_the_orders_are_compared(books: RoutedBooks) -> None:
    books.search(Authorization="Basic c2VjcmV0")
    read_records(books, 1)

    def is_kept() -> bool:
        gc.collect()  # finds what earlier tests have left too: torch has objects that warn of isinstance
        requests = (each for each in gc.get_objects() if type(each) is Request)
        return any("c2VjcmV0" in str(each.headers) for each in requests)

    until(lambda: not is_kept(), "no request with the credentials", within_s=20)


def test_items_of_several_searches_are_compared_each_by_itself(books: RoutedBooks) -> None:
    bodies = [
        {"query": {"match": {"text": books.words}}, "ext": {"ubi": {"query_id": n, "client_id": "anna"}}}
        for n in ("a", "b")
    ]
    lines = "".join(f'{{"index": "books"}}\n{json.dumps(body)}\n' for body in bodies)
    headers = {"Content-Type": "application/x-ndjson"}
    answer = books.client.post("/_msearch", data=lines, headers=headers, buffered=True)
    assert [len(each["hits"]["hits"]) for each in answer.json["responses"]] == [10, 10]  # type: ignore[index]
    records = read_records(books, 2)
    assert [each["query_id"] for each in records] == ["a", "b"]
    assert all("reranked" in decode_shadow(each["query_attributes"]["twinrank.shadow"]) for each in records)
    assert len(books.sent_bodies()) == 2, "one window for each"


def test_a_reranked_control_is_compared_in_several_searches_too() -> None:
    arms = {"control": {}, "own": "opensearch"}
    with routed_books(Bundle.open(TINY_BUNDLE), DARK | {"arms": arms, "share": None}) as books:
        body = {
            "query": {"match": {"text": books.words}},
            "ext": {"ubi": {"query_id": "a", "client_id": "b"}},
        }
        lines = f'{{"index": "books"}}\n{json.dumps(body)}\n' * 2
        headers = {"Content-Type": "application/x-ndjson"}
        books.client.post("/_msearch", data=lines, headers=headers, buffered=True)
        records = read_records(books, 2)
        found = [decode_shadow(each["query_attributes"]["twinrank.shadow"])["own"].tau for each in records]
        assert found[0] == found[1] < 1
        assert books.sent_bodies() == []
