"""`python -m tests.benchmarks.windows`: windows, both executions, document sizes, one request or two."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.markdown import Markdown

from plugin.encoding.model import Model
from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from reranker.bundle import Bundle
from tests.benchmarks.executions import Cell, measure_executions
from tests.benchmarks.local_opensearch import opensearch_at
from tests.benchmarks.one_or_two import Comparison, measure_one_or_two
from tests.benchmarks.options import upstream_option
from tests.benchmarks.report import RESULTS, machine_line, read_results, written_into
from tests.benchmarks.sized_index import SizedIndex, make_sized_index

SIZES_BYTES = (200, 500, 1_000, 2_000, 5_000, 20_000)
"""What one request or two are compared at; the executions at those of EXECUTION_SIZES_BYTES."""

EXECUTION_SIZES_BYTES = (200, 2_000, 20_000)


@click.command()
@click.option("--documents", type=click.IntRange(min=100), default=2_500, help="Documents of each size.")
@click.option("--rounds", type=click.IntRange(min=3), default=200, help="Rounds of all requests.")
@click.option("--write", is_flag=True, help="Write the figures into docs/reference/results.md.")
@upstream_option
@bundle_option
def main(documents: int, rounds: int, write: bool, upstream: str | None, bundle_path: Path) -> None:
    """Compare sidecar and cluster, and one request with two, by window and size of documents."""
    bundle = Bundle.open(bundle_path)
    machine = machine_line(documents, "documents of each size")
    with ExitStack() as running:
        url = running.enter_context(opensearch_at(upstream))
        indices = [make_sized_index(url, bundle, num_bytes, documents) for num_bytes in SIZES_BYTES]
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-")))
        proxy = running.enter_context(running_proxy(url, folder, bundle=bundle.path))
        compared = [index for index in indices if index.num_bytes in EXECUTION_SIZES_BYTES]
        cells = measure_executions(url, proxy.url, compared, rounds)
        comparisons = measure_one_or_two(url, Model.load(bundle), indices, rounds)
    section = _section(machine, cells, comparisons, indices)
    Console(width=140).print(Markdown(section))
    if write:
        RESULTS.write_text(written_into(read_results(), section, "windows", "Windows and executions"))


def _section(
    machine: str, cells: Sequence[Cell], comparisons: Sequence[Comparison], indices: Sequence[SizedIndex]
) -> str:
    head = "| documents | window | execution | plain p50 | p50 | added p50 | added p95 | to 0.2 KB |"
    thin = {(cell.window, cell.execution): cell for cell in cells if cell.num_bytes == indices[0].num_bytes}
    rows = [cell.row(thin[cell.window, cell.execution]) for cell in cells]
    other = (
        "| documents | window | each hit asks for | one request, p50 | two | two to one |"
        " one request, processor | two | two to one |"
    )
    return "\n".join([
        machine, "", head, "|---|---:|---|---:|---:|---:|---:|---:|", *rows, "",
        "One request or two, in `sidecar` with a page of 10:", "",
        other, "|---|---:|---|---:|---:|---:|---:|---:|---:|",
        *(comparison.row() for comparison in comparisons), "",
        "Query vectors are cached. Added: over the same search straight at OpenSearch, in the same rounds;"
        " in brackets the 95 % interval (bootstrap over rounds). `to 0.2 KB`: p50 divided by that of the"
        " smallest documents.",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
