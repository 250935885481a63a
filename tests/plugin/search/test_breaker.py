"""The breaker of one kind of searches opens after failures in a row; one search tries after its pause."""

from io import BytesIO

from opensearch.search.request import SearchRequest
from plugin.http.messages import Request
from plugin.search.breaker import MAX_FAILURES, PAUSE_S, Kind, UpstreamBreaker, find_kind


def kind(path: str = "/books/_search", body: bytes = b'{"query":{}}', user: str = "ann") -> Kind:
    request = Request("POST", path, (("Authorization", user), ("X-Opaque-Id", body.hex())), BytesIO(), 0)
    return find_kind(request, SearchRequest.parse(path, body))


BOOKS = kind()


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def opened() -> tuple[UpstreamBreaker, Clock]:
    clock = Clock()
    breaker = UpstreamBreaker(clock)
    for _ in range(MAX_FAILURES):
        assert not breaker.is_open(BOOKS)
        breaker.record_failure(BOOKS)
    return breaker, clock


def test_it_opens_for_its_own_target() -> None:
    breaker, _ = opened()
    assert breaker.is_open(BOOKS)
    assert breaker.is_open(kind(body=b'{"query":{"match":{"text":"another"}}}'))
    assert not breaker.is_open(kind("/films/_search"))


def test_one_callers_odd_searches_stop_nobody_elses_and_no_plain_ones() -> None:
    breaker, _ = opened()
    assert not breaker.is_open(kind(user="bob"))
    assert not breaker.is_open(kind(body=b'{"query":{},"timeout":"1ms"}'))
    assert not breaker.is_open(kind("/books/_search?timeout=1ms"))


def test_after_the_pause_one_search_tries_and_the_others_wait() -> None:
    breaker, clock = opened()
    clock.now_s += PAUSE_S
    assert [breaker.is_open(BOOKS) for _ in range(3)] == [False, True, True]
    breaker.record_success(BOOKS)
    assert not breaker.is_open(BOOKS)


def test_one_success_in_between_begins_the_count_anew() -> None:
    breaker = UpstreamBreaker(Clock())
    for _ in range(MAX_FAILURES - 1):
        breaker.record_failure(BOOKS)
    breaker.record_success(BOOKS)
    for _ in range(MAX_FAILURES - 1):
        breaker.record_failure(BOOKS)
    assert not breaker.is_open(BOOKS)
