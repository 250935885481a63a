"""More searches than can be reranked: every one is answered, and as many as possible are reranked."""

import pytest

from plugin.proxy_process import running_proxy
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from tests.benchmarks.open_loop import open_loop
from tests.benchmarks.overload import capacity, prepared, searches


@pytest.mark.live
def test_under_twice_the_load_every_search_is_answered(
    opensearch_url: str, tmp_path_factory: pytest.TempPathFactory, is_long: bool
) -> None:
    """Counts alone: how fast it goes says `python -m tests.benchmarks.overload`."""
    seconds, folder = (20.0 if is_long else 1.5), tmp_path_factory.mktemp("overload")
    target = f"/{prepared(opensearch_url, Bundle.open(DEFAULT_BUNDLE), 300)}/_search"
    with running_proxy(opensearch_url, folder, bundle=DEFAULT_BUNDLE) as proxy:
        rate = 2 * max(10.0, capacity(proxy.url, target, seconds / 2))
        sent = searches(int(rate * seconds), 2)
        answered = open_loop(proxy.url, target, sent, rate)
    assert (answered.faults, answered.statuses) == ({}, {200: len(sent)})
    assert answered.outcomes["applied"] > 0
    assert set(answered.outcomes) <= {"applied", "overloaded", "deadline"}
