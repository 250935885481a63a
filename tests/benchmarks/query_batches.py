"""`python -m tests.benchmarks.query_batches`: would waiting queries be encoded faster together?

And what that would do to their vectors: an int8 model scales its activations by the whole tensor.
"""

from pathlib import Path
from time import perf_counter

import click
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from plugin.demo.docstrings import read_standard_library
from plugin.options.common import bundle_option
from reranker.bundle import Bundle
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.report import machine_line

SIZES = (1, 2, 4, 8, 16)


@click.command()
@click.option("--count", default=512, show_default=True, help="Queries.")
@bundle_option
def main(count: int, bundle_path: Path) -> None:
    """Encode the same queries in batches of several sizes, one thread."""
    encoder = Bundle.open(bundle_path).load_query_encoder()
    encode, tokens = encoder._encoder.encode_ids, encoder._tokens.query
    texts = distinct_queries([each.text for each in read_standard_library()], count)
    ids = [tokens(text) for text in texts]
    alone = np.concatenate([encode([each]) for each in ids])
    table = Table(box=SIMPLE_HEAD)
    for name in ("in a batch", "queries a second", "least cosine with the vector alone", "median"):
        table.add_column(name, justify="right")
    for size in SIZES:
        begin_s = perf_counter()
        together = np.concatenate([encode(ids[at : at + size]) for at in range(0, count, size)])
        rate = count / (perf_counter() - begin_s)
        cosines = (alone * together).sum(axis=1)
        table.add_row(str(size), f"{rate:.0f}", f"{cosines.min():.5f}", f"{np.median(cosines):.5f}")
    Console(highlight=False, width=140).print(machine_line(count, "queries"), table, sep="\n")


if __name__ == "__main__":
    main()
