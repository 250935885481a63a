"""`python -m tests.benchmarks`: measure against the budgets."""

from pathlib import Path

import click
from rich.console import Console

from plugin.demo.docstrings import read_standard_library
from plugin.options.common import bundle_option
from reranker.bundle import Bundle
from tests.benchmarks.local_opensearch import opensearch_at
from tests.benchmarks.options import upstream_option
from tests.benchmarks.report import (
    RESULTS,
    figures_markdown,
    figures_table,
    machine_line,
    read_results,
    written_into,
)
from tests.benchmarks.run import QUICK, Sizes, measure_all


@click.command()
@click.option("--quick", is_flag=True, help="Only see that everything runs; the figures mean little.")
@click.option("--write", is_flag=True, help="Write the figures into docs/reference/results.md.")
@click.option("--documents", type=click.IntRange(min=100), help="Index only so many docstrings.")
@upstream_option
@bundle_option
def main(quick: bool, write: bool, documents: int | None, upstream: str | None, bundle_path: Path) -> None:
    """Measure the model, searches straight and through the proxy, and a worker's memory."""
    corpus = read_standard_library(documents)
    machine = machine_line(len(corpus))
    with opensearch_at(upstream) as url:
        figures = list(measure_all(url, Bundle.open(bundle_path), corpus, QUICK if quick else Sizes()))
    Console(highlight=False, width=140).print(machine, figures_table(figures), sep="\n")
    if write:
        RESULTS.write_text(written_into(read_results(), figures_markdown(figures, machine)))


if __name__ == "__main__":
    main()
