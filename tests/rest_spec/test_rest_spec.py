"""OpenSearch's own tests see no difference between OpenSearch and the proxy in front of it.

A fixed sample; all of them with `--long`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from reranker.bundle import Bundle
from tests.rest_spec.call import Caller
from tests.rest_spec.compare import difference, reranked_difference
from tests.rest_spec.load import Spec, SpecTest
from tests.rest_spec.run import Outcome, run
from tests.rest_spec.wipe import Wiper
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.live

OF_SEARCH = ("count/", "explain/", "mlt/", "msearch/", "pit/", "scroll/", "search", "suggest/")

TEXT_FIELDS = ["text", "title", "body", "message", "name", "content", "description", "foo", "bar", "field",
               "field1", "field2", "test", "str", "include.field1", "a_field", "text1", "text2", "txt", "f1",
               "val"]  # fmt: skip
"""What the tests' documents call their texts."""

Found = list[tuple[SpecTest, Outcome, Outcome]]


class Pair:
    """The same server, straight and through the proxy."""

    def __init__(self, straight: Caller, proxied: Caller) -> None:
        self._straight, self._proxied = straight, proxied
        self._wiper = Wiper(straight)

    def both(self, test: SpecTest, prepare: Callable[[Caller], None]) -> tuple[Outcome, Outcome]:
        """Run a test at each, on an empty server; `prepare` is called before the proxied run."""
        self._wiper.wipe()
        first = run(test, self._straight)
        self._wiper.wipe()
        prepare(self._straight)
        return first, run(test, self._proxied)


@pytest.fixture
def pair(spec: Spec, own_url: str, own_proxy: str) -> Iterator[Pair]:
    with closing(Caller(own_url, spec.apis)) as straight, closing(Caller(own_proxy, spec.apis)) as proxied:
        yield Pair(straight, proxied)


def enable_everything(straight: Caller) -> None:
    """Make an index template by which every new index is reranked."""
    rerank = {
        "model": Bundle.open(TINY_BUNDLE).name,
        "source_fields": TEXT_FIELDS,
        "deadline_ms": 60_000,
    }
    vector = {"properties": {"vector": {"type": "binary", "doc_values": True}}}
    mappings = {"_meta": {"rerank": rerank}, "properties": {"rerank": vector}}
    template = {"settings": {}, "mappings": mappings}
    body = {"index_patterns": ["*"], "priority": 0, "template": template}
    answer = straight.ask("PUT", "/_index_template/rerank-everything", json.dumps(body).encode(), {})
    assert answer.status == 200, answer.text


def compared(
    pair: Pair,
    tests: list[SpecTest],
    compare: Callable[[Outcome, Outcome], str | None],
    prepare: Callable[[Caller], None] = lambda straight: None,
) -> tuple[Counter[str], list[str], Counter[str]]:
    """Return the straight outcomes, the differences, and what became of the searches through the proxy.

    A difference counts when it is there a second time: a few tests are not steady even straight.
    """
    outcomes: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    differences = []
    for test in tests:
        straight, proxied = pair.both(test, prepare)
        found = compare(straight, proxied)
        if found:
            straight, proxied = pair.both(test, prepare)
            found = compare(straight, proxied)
        outcomes[straight.result.partition(":")[0]] += 1
        said = [answer.headers.get("rerank-status", "") for answer in proxied.answers]
        statuses.update(status.partition(";")[0] for status in said if status)
        if found:
            differences.append(f"{test}: {found}")
    return outcomes, differences, statuses


def test_the_proxy_is_not_seen(spec: Spec, pair: Pair, is_long: bool) -> None:
    tests = list(spec.tests) if is_long else list(spec.tests[::45])
    outcomes, differences, statuses = compared(pair, tests, difference)
    print(f"straight: {dict(outcomes)}; searches: {dict(statuses)}; differences: {len(differences)}")  # noqa: T201
    assert not differences, "\n".join(differences)
    assert outcomes["passed"] >= (1_300 if is_long else 25)


def test_reranking_changes_order_and_scores_alone(spec: Spec, pair: Pair, is_long: bool) -> None:
    tests = [test for test in spec.tests if test.file.startswith(OF_SEARCH)]
    outcomes, differences, statuses = compared(
        pair, tests if is_long else tests[::25], reranked_difference, enable_everything
    )
    print(f"straight: {dict(outcomes)}; searches: {dict(statuses)}; differences: {len(differences)}")  # noqa: T201
    assert not differences, "\n\n".join(differences)
    assert statuses["applied"] >= (60 if is_long else 2)
