"""The demo's output: both orders of every search, what happened, and what to try."""

import json
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

from rich.table import Table
from rich.text import Text

from plugin.compare.retry import is_due_to_load
from plugin.demo.demo import INDEX, SHOWN_FIELDS, RunningDemo, build_search_body
from plugin.harness.comparison_table import describe_with_id, format_orders

LAB = "/_plugins/_rerank/"
_EXAMPLE = "check whether a file exists"


def format_demo(demo: RunningDemo) -> Iterator[Table | Text]:
    """Yield the whole output, in order."""
    for orders in demo.orders:
        yield from format_orders(orders, partial(describe_with_id, fields=SHOWN_FIELDS))
        yield Text("")
    yield Text("\n".join([*_describe_run(demo), "", *_suggest(demo)]))


def _describe_run(demo: RunningDemo) -> Iterator[str]:
    """Yield what happened according to each answer, so that nothing is claimed that was not shown."""
    applied, total = sum(orders.is_reranked for orders in demo.orders), len(demo.orders)
    yield "What just happened:"
    yield f"1. {demo.num_documents:,} docstrings went into OpenSearch, each with a vector in the same write."
    yield f"2. Each of the {total} searches above was sent to OpenSearch and through Twinrank."
    if applied:
        yield f"3. Twinrank reranked {applied} of the {total} searches: it asked OpenSearch for its best"
        yield "   100 hits, encoded the query while that request ran, scored the hits' stored vectors"
        yield "   against the query's, reordered the hits, and cut the page."
    else:
        yield f"3. Twinrank reranked none of the {total} searches: both columns show OpenSearch's order."
    yield from _describe_exceptions(demo)
    yield "4. The answer keeps OpenSearch's shape and texts; its header Rerank-Status says what was done."


def _describe_exceptions(demo: RunningDemo) -> Iterator[str]:
    """Yield the exceptions: searches that were sent again, and those that were not reranked."""
    repeated = sum(bool(orders.repeats) for orders in demo.orders)
    if repeated:
        yield f"   This machine is busy: {_count_searches(repeated)} sent again, with a longer deadline"
        yield "   (ext.rerank.deadline_ms)."
    skipped = Counter(orders.reranked.status for orders in demo.orders if not orders.is_reranked)
    for status, number in skipped.items():
        why = status or "no Rerank-Status"
        yield f"   {_count_searches(number)} not reranked ({why}), so both columns are the same."
    if any(is_due_to_load(status) for status in skipped):
        yield "   Close other programs, and run the demo again."


def _count_searches(number: int) -> str:
    return "1 search was" if number == 1 else f"{number} searches were"


def _suggest(demo: RunningDemo) -> Iterator[str]:
    yield "It is left running. Compare both orders in your browser, with words of your own:"
    yield f"  {build_lab_url(demo.proxy.url, INDEX, _EXAMPLE)}"
    yield "Or in a terminal:"
    body = shlex.quote(json.dumps(build_search_body(_EXAMPLE) | {"_source": ["text"]}))
    for url in (demo.upstream, demo.proxy.url):
        yield f"  curl -si '{url}/{INDEX}/_search?pretty' -H 'Content-Type: application/json' -d {body}"
    where = f"--upstream {demo.upstream} --proxy {demo.proxy.url}"
    yield f"  {find_program()} search {INDEX} '{_EXAMPLE}' {where}"
    yield f"Stop it: {find_program()} demo --stop (make demo-stop)"


def build_lab_url(proxy: str, index: str, text: str) -> str:
    """Return the address of the lab for one search."""
    return f"{proxy}{LAB}#{urlencode({'index': index, 'text': text}, quote_via=quote)}"


def find_program() -> str:
    """Return how `twinrank` is called here: by its path if it is not on the PATH."""
    beside = Path(sys.executable).with_name("twinrank")
    return "twinrank" if shutil.which("twinrank") or not beside.exists() else str(beside)
