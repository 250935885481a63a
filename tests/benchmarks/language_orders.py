"""What reranking is worth in other languages, without the language guard and with it.

    python -m tests.benchmarks.language_orders var/data/debian_* --bundle bge-small-en-v1.5

For each bundle it prints a Markdown table with a row for each folder in BEIR layout: MRR@10 of BM25, whose
analyzer the folder's SOURCE.txt names, and of both reranked orders with their differences. Indices stay.
"""

import gzip
import json
import random
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from opensearch.client import index_path
from opensearch.index.enable import EnableRequest, enable
from plugin.commands.language_notes import record_languages
from plugin.evaluation.clients import open_clients
from plugin.evaluation.collection import Collection, read_collection
from plugin.evaluation.evaluate import Evaluation, evaluate
from plugin.evaluation.measures import Difference
from plugin.evaluation.paired_report import format_interval
from plugin.harness.prepared_index import prepare_index
from plugin.options.common import find_bundle_folder
from plugin.upstream.connecting import Connecting
from reranker.beir_files import CORPUS, CollectionError, DocumentRecord, find_file, read_records
from reranker.bundle import Bundle

DOCUMENTS = 1_000
"""How many documents of a collection are indexed: the relevant ones, and others by chance."""

DEADLINE_MS = 5_000
ANALYZER = re.compile(r"Analyzer for BM25: (\w+)")
HEAD = """| collection | documents | queries | BM25 | without the guard | difference | won / lost \
| with the guard | difference | won / lost | passed through |
|---|---:|---:|---:|---:|---|---:|---:|---|---:|---:|"""


@dataclass(frozen=True)
class LanguageOrders:
    """One collection's reciprocal ranks at 10: BM25's, and those of one bundle in both ways."""

    name: str
    num_documents: int
    without_guard: Evaluation
    with_guard: Evaluation

    @property
    def is_below(self) -> bool:
        """Whether the guarded order is worse than BM25 by an interval that excludes 0."""
        return self.with_guard.rr.high < 0

    def row(self) -> str:
        """Return the collection's line of the table."""
        first = self.without_guard.first_stage.rr
        start = f"| {self.name} | {self.num_documents:,} | {len(first)} | {first.mean():.3f}"
        orders = (self.without_guard, self.with_guard)
        values = (f"{each.reranked.rr.mean():.3f} | {_format_difference(each.rr)}" for each in orders)
        share = self.with_guard.num_skipped / len(first)
        return f"{start} | {' | '.join(values)} | {share:.1%} |"


def _format_difference(found: Difference) -> str:
    return f"{format_interval(found)} | {found.won} / {found.lost}"


def find_analyzer(folder: Path) -> str:
    """Return the analyzer that a collection's SOURCE.txt names; `standard` if it names none."""
    source = folder / "SOURCE.txt"
    found = ANALYZER.search(source.read_text(encoding="utf-8")) if source.is_file() else None
    return found[1] if found else "standard"


def choose_documents(
    documents: Sequence[DocumentRecord], relevant: set[str], size: int
) -> list[DocumentRecord]:
    """Return the relevant documents and others by chance, up to `size`, in the order of the collection.

    The choice depends on the ids alone.
    """
    others = [str(each.id) for each in documents if str(each.id) not in relevant]
    room = max(0, size - (len(documents) - len(others)))
    chosen = relevant | set(random.Random(0).sample(sorted(others), min(room, len(others))))
    return [each for each in documents if str(each.id) in chosen]


def write_documents(documents: Sequence[DocumentRecord], file: Path) -> None:
    """Write documents as gzipped lines of JSON."""
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        for each in documents:
            row = {"_id": str(each.id), "title": each.title or "", "text": each.text or ""}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def measure_orders(folder: Path, bundle: Bundle, connecting: Connecting, size: int) -> LanguageOrders:
    """Index a collection, and search its queries without the bundle's guard and with it.

    Raises:
        CollectionError, PreparationError, ProxyError, SearchError, OpenSearchError: a step failed.
    """
    collection = read_collection(folder)
    relevant = {id_ for grades in collection.qrels.values() for id_, grade in grades.items() if grade > 0}
    documents = list(read_records(find_file(folder, CORPUS), DocumentRecord))
    documents = choose_documents(documents, relevant, size)
    index = f"languages-{collection.name}-{bundle.name}-{size}".lower()
    with tempfile.TemporaryDirectory(prefix="languages-") as temporary:
        write_documents(documents, file := Path(temporary) / "corpus.jsonl.gz")
        prepare_index(
            connecting,
            index,
            file,
            collection.text_fields,
            bundle=bundle,
            settings={"deadline_ms": DEADLINE_MS},
            analyzer=find_analyzer(folder),
        )
    with closing(connecting.client()) as client:
        client.request("POST", index_path(index, "_forcemerge"), params={"max_num_segments": "1"})
    without, guarded = (
        _evaluate(collection, bundle, connecting, index, allowed) for allowed in ("any", "model")
    )
    return LanguageOrders(collection.name, len(documents), without, guarded)


def _evaluate(
    collection: Collection, bundle: Bundle, connecting: Connecting, index: str, allowed: str
) -> Evaluation:
    """Search through a proxy that starts after the index allows `any` language, or the bundle's alone."""
    with closing(connecting.client()) as client:
        enabled = enable(client, index, EnableRequest(bundle.vectors_of, {"languages": allowed}))[0]
        record_languages(client, index, enabled.settings, bundle)
    with open_clients(None, connecting, bundle.path) as (straight, proxied):
        return evaluate(collection, straight, proxied, index)


def format_orders(orders: Sequence[LanguageOrders]) -> Iterator[str]:
    """Yield the lines under a table: the means, and what is below BM25 with the guard."""
    columns = {
        "BM25": [each.without_guard.first_stage for each in orders],
        "without the guard": [each.without_guard.reranked for each in orders],
        "with it": [each.with_guard.reranked for each in orders],
    }
    means = (f"{name} {np.mean([each.rr.mean() for each in column]):.3f}" for name, column in columns.items())
    yield f"Mean: {', '.join(means)}."
    below = ", ".join(each.name for each in orders if each.is_below)
    yield f"With the guard, below BM25 by an interval that excludes 0: {below or 'none'}."


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--bundle", "bundles", multiple=True, default=["bge-small-en-v1.5"], help="Repeatable.")
@click.option("--documents", type=click.IntRange(min=1), default=DOCUMENTS, show_default=True)
@click.option("--upstream", default="http://127.0.0.1:9200", show_default=True, help="A running OpenSearch.")
def main(folders: tuple[Path, ...], bundles: tuple[str, ...], documents: int, upstream: str) -> None:
    """Print a table for each bundle, with a row for each collection in FOLDERS."""
    for name in bundles:
        bundle = Bundle.open(find_bundle_folder(name))
        click.echo(
            f"\n{bundle.name}, which reads {', '.join(bundle.manifest.languages or ['any'])}\n\n{HEAD}"
        )
        orders = []
        for folder in folders:
            try:
                orders.append(measure_orders(folder, bundle, Connecting(upstream), documents))
            except CollectionError as error:
                raise click.ClickException(str(error)) from error
            click.echo(orders[-1].row())
        click.echo("\n" + "\n".join(format_orders(orders)))


if __name__ == "__main__":
    main()
