"""Whether the sidecar shall ask for whole hits at once, or first for vectors and then for the page."""

import io
import json
import os
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from opensearch.search.decision import plan_search
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.search.window_request import can_split
from opensearch.settings.target import Target
from plugin.encoding.model import Model
from plugin.http.messages import Request, Response
from plugin.search.sidecar import SidecarSearch
from plugin.telemetry.outcome import outcome_of
from plugin.upstream.client import Upstream
from reranker.arrays import Floats64
from reranker.manifest import FusionDefault
from tests.benchmarks.samples import bound_ratio
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

WINDOWS = (100, 1_000)

ALL_ASKED_BYTES = 200
"""Documents of which everything is asked, with a window of 100; of others only the source."""

_BLOCK = 20
"""Searches of one kind in a row: processor time is too coarse for one alone."""


class _OneRequest(SidecarSearch):
    def _is_worth_splitting(self, plan: Plan) -> bool:
        return False


class _TwoRequests(SidecarSearch):
    def _is_worth_splitting(self, plan: Plan) -> bool:
        return can_split(plan)


@dataclass(frozen=True)
class Comparison:
    """One line of the table: (blocks,) milliseconds a search of one request and of two.

    `one_cpu_ms` and `two_cpu_ms` are processor time, OpenSearch's and ours: what other processes do to the
    machine meanwhile hardly changes it.
    """

    num_bytes: int
    window: int
    asked: str
    one_ms: Floats64
    two_ms: Floats64
    one_cpu_ms: Floats64
    two_cpu_ms: Floats64

    def row(self) -> str:
        """Return the line in Markdown."""
        said = f"{self.num_bytes / 1000:g} KB", f"{self.window:,}", self.asked
        shown = (*_compared(self.one_ms, self.two_ms), *_compared(self.one_cpu_ms, self.two_cpu_ms))
        return f"| {' | '.join((*said, *shown))} |"


def measure_one_or_two(
    url: str, model: Model, indices: Sequence[SizedIndex], rounds: int
) -> list[Comparison]:
    """Return a comparison for every size of documents, and of what is asked of each hit of the smallest.

    Measured in this process, without the proxy's own HTTP, which is the same in both; about `rounds`
    searches of each kind, in blocks that come in an order drawn anew.
    """
    cases = [
        _Case(index, window, asked)
        for index in indices
        for window in WINDOWS
        for asked in (ASKED if index.num_bytes <= ALL_ASKED_BYTES and window == 100 else tuple(ASKED)[:1])
    ]
    found: dict[tuple[_Case, bool], list[tuple[float, float]]] = defaultdict(list)
    order = random.Random(0)
    with closing(Upstream(url)) as upstream:
        ways = {False: _OneRequest(upstream, model), True: _TwoRequests(upstream, model)}
        everything = [(case, is_two) for case in cases for is_two in ways]
        for number in range(1 + max(1, rounds // _BLOCK)):
            for case, is_two in order.sample(everything, len(everything)):
                spent = _block(upstream, ways[is_two], case, min(_BLOCK, rounds))
                if number:  # the first block warms up
                    found[case, is_two].append(spent)
    return [_comparison(case, found[case, False], found[case, True]) for case in cases]


@dataclass(frozen=True)
class _Case:
    index: SizedIndex
    window: int
    asked: str


def _comparison(
    case: _Case, one: Sequence[tuple[float, float]], two: Sequence[tuple[float, float]]
) -> Comparison:
    one_ms, one_cpu_ms = np.array(one).T
    two_ms, two_cpu_ms = np.array(two).T
    return Comparison(case.index.num_bytes, case.window, case.asked, one_ms, two_ms, one_cpu_ms, two_cpu_ms)


def _block(upstream: Upstream, way: SidecarSearch, case: _Case, length: int) -> tuple[float, float]:
    """Search `length` times; return the median time of a search and the processor time of one, in ms."""
    planned = [_planned(case, text) for text in query_texts(length)]
    elapsed_ms = []
    before_ms = _cpu_ms(upstream)
    for request, plan in planned:
        begin = perf_counter()
        _check(way.run(request, plan))
        elapsed_ms.append((perf_counter() - begin) * 1000)
    return float(np.median(elapsed_ms)), (_cpu_ms(upstream) - before_ms) / length


def _cpu_ms(upstream: Upstream) -> float:
    """Return the processor time that OpenSearch's nodes, on this machine, and this process have used.

    OpenSearch's own statistics tell its time as it was up to a second ago, so Linux is asked.
    """
    answer = upstream.exchange("GET", "/_nodes/process?filter_path=nodes.*.process.id", ())
    pids = [node["process"]["id"] for node in json.loads(answer.body)["nodes"].values()]
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    theirs_s = sum(int(user) + int(system) for user, system in ticks) / os.sysconf("SC_CLK_TCK")
    return (theirs_s + process_time()) * 1000


def _planned(case: _Case, text: str) -> tuple[Request, Plan]:
    index, asked = case.index, ASKED[case.asked]
    match: dict[str, Any] = {"match": {"title": text}}
    controls = {"rerank": {"window_size": case.window}}
    body: dict[str, Any] = {"query": match, "size": 10, "ext": controls, **asked}
    if asked.get("query") == "nested":
        inner = {"path": "parts", "query": {"match": {"parts.say": text}}, "inner_hits": {}}
        body["query"] = {"bool": {"must": [match], "should": [{"nested": inner}]}}
    path = f"/{index.name}/_search"
    data = json.dumps(body).encode()
    search, target = (
        SearchRequest.parse(path, data),
        Target(index.settings, {index.name: (index.settings.field,)}),
    )
    plan = plan_search(search, target, defaults=FusionDefault("log_linear", 10.0)).plan
    if not isinstance(plan, Plan):
        raise TypeError(f"expected a search to be reranked, found {plan}")
    return Request("POST", path, (), io.BytesIO(data), len(data)), plan


def _check(answer: Response) -> None:
    """What is measured must be what was meant.

    Raises:
        RuntimeError: another answer.
    """
    outcome = outcome_of(answer)
    if outcome is None or outcome.result != "applied":
        raise RuntimeError(f"expected a reranked search, found {outcome}")


def _compared(one_ms: Floats64, two_ms: Floats64) -> tuple[str, str, str]:
    one, two = np.median(one_ms), np.median(two_ms)
    low, high = bound_ratio(one_ms, two_ms)
    return f"{one:.2f} ms", f"{two:.2f} ms", f"{two / one:.2f} ({low:.2f} to {high:.2f})"
