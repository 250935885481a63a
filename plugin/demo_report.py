"""What the demo shows: both orders of every search, what happened, and what to try."""

import json
import shlex
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from plugin.both_orders_table import orders_table, timing_line
from plugin.demo import INDEX, RunningDemo, search_body


def demo_report(demo: RunningDemo) -> Iterator[Table | Text]:
    """Yield everything that is shown once the demo runs, in order."""
    for orders in demo.orders:
        yield orders_table(orders)
        yield Text(timing_line(orders) + "\n", style="dim")
    yield Text("\n".join([*_what_happened(demo), "", *_to_try(demo)]))


def _what_happened(demo: RunningDemo) -> list[str]:
    return [
        "What just happened:",
        f"1. {demo.num_documents:,} docstrings went into OpenSearch, each with a vector in the same write.",
        "2. Every search above was sent twice, the same bytes: straight to OpenSearch and through Twinrank.",
        "3. Twinrank asked OpenSearch for its best 100 hits and encoded the query while that request ran.",
        "4. It scored the 100 stored vectors against the query's, reordered the hits, and cut the page.",
        "5. The answer keeps OpenSearch's shape, texts and scores; Rerank-Status says what was done.",
    ]


def _to_try(demo: RunningDemo) -> Iterator[str]:
    yield "It is left running. Try the same search both ways, with words of your own:"
    body = shlex.quote(json.dumps(search_body("check whether a file exists") | {"_source": ["text"]}))
    for url in (demo.upstream, demo.proxy.url):
        yield f"  curl -si '{url}/{INDEX}/_search?pretty' -H 'Content-Type: application/json' -d {body}"
    where = f"--upstream {demo.upstream} --proxy {demo.proxy.url}"
    yield f"  twinrank search {INDEX} 'check whether a file exists' {where}"
    yield "Stop it: twinrank demo --stop (make demo-stop)"
