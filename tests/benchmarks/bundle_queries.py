"""`python -m tests.benchmarks.bundle_queries FOLDER --bundle NAME ...`: what a query costs with each bundle.

All bundles tokenise and encode the same queries in turn, on one thread, each round in another order.
Processor time is compared, because rounds on a busy machine are interrupted.
"""

import random
import time
from pathlib import Path

import click
import numpy as np

from plugin.options.common import find_bundle_folder
from reranker.arrays import Floats64
from reranker.beir_files import CollectionError, find_file, read_queries
from reranker.bundle import Bundle
from reranker.encoder import QueryEncoder
from tests.benchmarks.report import machine_line

HEAD = """| bundle | tokens, mean | processor ms a query, median | to the first, median (middle half) |
|---|---:|---:|---:|"""


def measure_rounds(encoders: list[QueryEncoder], queries: list[str], rounds: int) -> Floats64:
    """Return the processor milliseconds a query: (rounds, encoders)."""
    found, shuffle = np.empty((rounds, len(encoders))), random.Random(0)
    places = list(range(len(encoders)))
    for each in (*found[:1], *found):  # the first round warms up, and is measured again
        shuffle.shuffle(places)
        for place in places:
            started = time.process_time()
            for query in queries:
                encoders[place](query)
            each[place] = (time.process_time() - started) / len(queries) * 1000
    return found


def format_row(label: str, tokens: float, times: Floats64, first: Floats64) -> str:
    """Return a bundle's line of the table; `times` and `first` are (rounds,) each."""
    low, middle, high = np.percentile(times / first, (25, 50, 75))
    return f"| {label} | {tokens:.1f} | {np.median(times):.2f} | {middle:.2f} ({low:.2f} to {high:.2f}) |"


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--bundle", "names", multiple=True, required=True, help="Repeatable; the first is compared with."
)
@click.option("--queries", "count", default=50, show_default=True, help="How many of the folder's queries.")
@click.option("--rounds", default=40, show_default=True)
def main(folder: Path, names: tuple[str, ...], count: int, rounds: int) -> None:
    """Print a table of the bundles' times for the first queries of FOLDER, which is in BEIR layout."""
    try:
        queries = list(read_queries(find_file(folder, "queries.jsonl")).values())[:count]
    except CollectionError as error:
        raise click.ClickException(str(error)) from error
    bundles = [Bundle.open(find_bundle_folder(name)) for name in names]
    encoders = [bundle.load_query_encoder() for bundle in bundles]
    times = measure_rounds(encoders, queries, rounds)
    click.echo(f"{machine_line(len(queries), 'queries')}\n\n{HEAD}")
    for place, (bundle, encode) in enumerate(zip(bundles, encoders, strict=True)):
        tokens = float(np.mean([encode.num_tokens(query) for query in queries]))
        click.echo(format_row(bundle.label, tokens, times[:, place], times[:, 0]))


if __name__ == "__main__":
    main()
