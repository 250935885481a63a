"""Whether the sidecar shall ask for whole hits at once, or first for vectors and then for the page."""

import io
import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from opensearch.search_plan import Plan, plan_search
from opensearch.search_request import SearchRequest
from opensearch.target import Target
from opensearch.widened_search import can_split
from plugin.http_messages import Answer, Request
from plugin.model import Model
from plugin.reranked_search import RerankedSearch
from plugin.stage_clock import StageClock
from plugin.upstream import Upstream
from tests.benchmarks.samples import Floats
from tests.benchmarks.sized_index import SizedIndex, query_texts

_HIGHLIGHT = {"fields": {"title": {}, "text": {}}, "require_field_match": False}
_SCRIPT = {"twice": {"script": "2 * doc['n'].value"}}
ASKED: Mapping[str, dict[str, Any]] = {
    "its source": {},
    "`highlight`": {"highlight": _HIGHLIGHT},
    "`fields`": {"fields": ["title", "n"]},
    "`docvalue_fields`": {"docvalue_fields": ["n"]},
    "`script_fields`": {"_source": True, "script_fields": _SCRIPT},
    "nested `inner_hits`": {"query": "nested"},
}
"""What a search asks of each hit, in words, and as members of its body."""

ALL_ASKED_BYTES = 200
"""Sizes at which everything is asked; at the others only the source."""

_NUM_QUERIES = 20


class _OneRequest(RerankedSearch):
    def _is_worth_splitting(self, plan: Plan) -> bool:
        return False


class _TwoRequests(RerankedSearch):
    def _is_worth_splitting(self, plan: Plan) -> bool:
        return can_split(plan)


@dataclass(frozen=True)
class Comparison:
    """One line of the table: (rounds,) milliseconds of one request and of two."""

    num_bytes: int
    asked: str
    one_ms: Floats
    two_ms: Floats

    def row(self) -> str:
        """Return the line in Markdown."""
        one, two = np.median(self.one_ms), np.median(self.two_ms)
        low, high = np.percentile(_ratios(self.one_ms, self.two_ms), [2.5, 97.5])
        shown = f"{one:.2f} ms", f"{two:.2f} ms", f"{two / one:.2f} ({low:.2f} to {high:.2f})"
        return f"| {' | '.join((f'{self.num_bytes / 1000:g} KB', self.asked, *shown))} |"


def measure_one_or_two(
    url: str, model: Model, indices: Sequence[SizedIndex], rounds: int
) -> list[Comparison]:
    """Return a comparison for every size of documents, and of what is asked of each hit of the smallest.

    Measured in this process, without the proxy's own HTTP, which is the same in both.
    """
    cases = [
        (index, asked)
        for index in indices
        for asked in (ASKED if index.num_bytes <= ALL_ASKED_BYTES else tuple(ASKED)[:1])
    ]
    found: dict[tuple[str, str, bool], list[float]] = defaultdict(list)
    queries, order, warm_up = query_texts(_NUM_QUERIES), random.Random(0), min(_NUM_QUERIES, rounds)
    with closing(Upstream(url)) as upstream:
        ways = {False: _OneRequest(upstream, model), True: _TwoRequests(upstream, model)}
        everything = [(index, asked, is_two) for index, asked in cases for is_two in ways]
        for number in range(warm_up + rounds):
            for index, asked, is_two in order.sample(everything, len(everything)):
                request, plan = _planned(index, queries[number % _NUM_QUERIES], ASKED[asked])
                begin = perf_counter()
                _check(ways[is_two].run(request, plan, StageClock()))
                if number >= warm_up:
                    found[index.name, asked, is_two].append((perf_counter() - begin) * 1000)
    return [
        Comparison(
            index.num_bytes,
            asked,
            np.array(found[index.name, asked, False]),
            np.array(found[index.name, asked, True]),
        )
        for index, asked in cases
    ]


def _planned(index: SizedIndex, text: str, asked: dict[str, Any]) -> tuple[Request, Plan]:
    match: dict[str, Any] = {"match": {"title": text}}
    body: dict[str, Any] = {"query": match, "size": 10, **asked}
    if asked.get("query") == "nested":
        inner = {"path": "parts", "query": {"match": {"parts.say": text}}, "inner_hits": {}}
        body["query"] = {"bool": {"must": [match], "should": [{"nested": inner}]}}
    path = f"/{index.name}/_search"
    data = json.dumps(body).encode()
    plan = plan_search(
        SearchRequest.parse(path, data), Target(index.settings, {index.name: (index.settings.field,)})
    )
    if not isinstance(plan, Plan):
        raise TypeError(f"expected a search to be reranked, found {plan}")
    return Request("POST", path, (), io.BytesIO(data), len(data)), plan


def _check(answer: Answer) -> None:
    """What is measured must be what was meant.

    Raises:
        RuntimeError: another answer.
    """
    status = dict(answer.headers)["Rerank-Status"]
    if not status.startswith("applied"):
        raise RuntimeError(f"expected a reranked search, found {status!r}")


def _ratios(one_ms: Floats, two_ms: Floats) -> Floats:
    """Return the medians' ratio over rounds drawn again and again: -> (1000,)."""
    drawn = np.random.default_rng(0).integers(0, len(one_ms), (1000, len(one_ms)))
    ratios: Floats = np.median(two_ms[drawn], 1) / np.median(one_ms[drawn], 1)
    return ratios
