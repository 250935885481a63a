"""The breaker of one target opens after failures in a row, and lets one search try after its pause."""

from plugin.upstream_breaker import MAX_FAILURES, PAUSE_S, UpstreamBreaker


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
        assert not breaker.is_open("books")
        breaker.failed("books")
    return breaker, clock


def test_it_opens_for_its_own_target() -> None:
    breaker, _ = opened()
    assert breaker.is_open("books")
    assert not breaker.is_open("other")


def test_after_the_pause_one_search_tries_and_the_others_wait() -> None:
    breaker, clock = opened()
    clock.now_s += PAUSE_S
    assert [breaker.is_open("books") for _ in range(3)] == [False, True, True]
    breaker.succeeded("books")
    assert not breaker.is_open("books")


def test_one_success_in_between_begins_the_count_anew() -> None:
    breaker = UpstreamBreaker(Clock())
    for _ in range(MAX_FAILURES - 1):
        breaker.failed("books")
    breaker.succeeded("books")
    for _ in range(MAX_FAILURES - 1):
        breaker.failed("books")
    assert not breaker.is_open("books")
