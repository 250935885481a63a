"""The demo's closing text says what the searches above it show, and nothing else."""

import subprocess
from collections.abc import Sequence

import pytest
from rich.console import Console

from plugin.compare.comparison import BothOrders
from plugin.demo.demo import QUERIES, RunningDemo
from plugin.demo.report import format_demo
from plugin.harness.proxy_process import ProxyProcess
from plugin.upstream.search_client import Answer

APPLIED = "applied; window=100; scored=100; model=m; bundle=m@1; execution=sidecar"
OVERLOADED, MODEL = "skipped; reason=overloaded", "skipped; reason=model"


def answer(status: str = "") -> Answer:
    hits = [{"_id": id_, "_source": {"text": f"text of {id_}"}} for id_ in "ab"]
    return Answer({"hits": {"hits": hits}}, {"rerank-status": status} if status else {}, 1.0)


def report(statuses: Sequence[str], repeats: int = 0) -> str:
    """Return what is shown of searches with these statuses, on one line."""
    orders = [
        BothOrders(query, answer(), answer(status), repeats)
        for query, status in zip(QUERIES, statuses, strict=False)
    ]
    with subprocess.Popen(["true"]) as child:
        proxy = ProxyProcess("http://127.0.0.1:9100", child)
    demo = RunningDemo("http://127.0.0.1:9200", proxy, 12_345, orders)
    console = Console(width=120)
    with console.capture() as captured:
        for part in format_demo(demo):
            console.print(part)
    return " ".join(captured.get().split())


def test_all_were_reranked() -> None:
    shown = report([APPLIED] * 3)
    assert "12,345 docstrings" in shown
    assert "reranked 3 of the 3 searches" in shown
    assert "busy" not in shown
    assert "not reranked" not in shown
    assert "run the demo again" not in shown


def test_some_were_skipped_because_of_the_load() -> None:
    shown = report([APPLIED, OVERLOADED, OVERLOADED], repeats=2)
    assert "reranked 1 of the 3 searches" in shown
    assert "2 searches were not reranked (skipped; reason=overloaded)" in shown
    assert "This machine is busy: 3 searches were sent again" in shown
    assert "Close other programs, and run the demo again." in shown


def test_none_was_reranked() -> None:
    shown = report([OVERLOADED] * 3)
    assert "reranked none of the 3 searches: both columns show OpenSearch's order." in shown
    for claim in ("scored the hits", "best 100 hits", "encoded the query"):
        assert claim not in shown


@pytest.mark.parametrize(("status", "why"), [(MODEL, MODEL), ("", "no Rerank-Status")])
def test_what_no_closed_program_would_change_is_not_blamed_on_the_machine(status: str, why: str) -> None:
    shown = report([APPLIED, status])
    assert f"1 search was not reranked ({why})" in shown
    assert "busy" not in shown
    assert "Close other programs" not in shown


def test_each_reason_is_told_with_its_number() -> None:
    shown = report([OVERLOADED, MODEL, OVERLOADED, APPLIED])
    assert "2 searches were not reranked (skipped; reason=overloaded)" in shown
    assert "1 search was not reranked (skipped; reason=model)" in shown


def test_what_to_try_names_both_addresses_and_the_page() -> None:
    shown = report([APPLIED])
    assert "http://127.0.0.1:9100/_plugins/_rerank/#index=docstrings&text=check%20whether" in shown
    assert "curl -si 'http://127.0.0.1:9200/docstrings/_search?pretty'" in shown
    assert "curl -si 'http://127.0.0.1:9100/docstrings/_search?pretty'" in shown
    assert "demo --stop" in shown
