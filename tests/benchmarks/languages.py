"""`python -m tests.benchmarks.languages FOLDER ...`: what the language guard does to known collections."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click
from rich.console import Console
from rich.markdown import Markdown

from indexer.language_sample import IDENTIFIED_SIZE, LanguageSample
from plugin.encoding.foreign_queries import ForeignQueries
from reranker.beir_files import CORPUS, DocumentRecord, find_file, read_queries, read_records
from reranker.language_identifier import identify
from reranker.languages import COUNTED_CHARS, ReadableScripts

DOCUMENTS = 3_000
"""The sample is drawn evenly from this many documents."""


@dataclass(frozen=True)
class GuardFigures:
    """What the guard of a bundle says of one collection: its documents' language, and its queries.

    Of `num_queries`, `by_script` have a letter of another script, and `by_query` that or another language.
    """

    name: str
    sample: LanguageSample
    num_queries: int
    by_script: int
    by_query: int

    @property
    def main(self) -> tuple[str, float]:
        """The language of most identified texts, and its share."""
        return next(iter(self.sample.shares.items()), ("none", 0.0))

    def row(self) -> str:
        """Return the collection's line of the table."""
        language, share = self.main
        identified = sum(self.sample.languages.values())
        texts = f"{language} {share:.0%} of {identified}"
        rates = (f"{count / self.num_queries:.2%}" for count in (self.by_script, self.by_query))
        return f"| {self.name} | {texts} | {self.num_queries} | {' | '.join(rates)} |"


def measure_guard(folder: Path, languages: Sequence[str]) -> GuardFigures:
    """Measure one collection in BEIR layout for a bundle that reads these languages.

    Raises:
        CollectionError: a file is missing or malformed.
    """
    scripts, foreign = ReadableScripts(languages), ForeignQueries(waits=True)
    records = list(islice(read_records(find_file(folder, CORPUS), DocumentRecord), DOCUMENTS))
    chosen = records[:: max(1, len(records) // IDENTIFIED_SIZE)][:IDENTIFIED_SIZE]
    texts = [f"{each.title or ''}\n{each.text or ''}".strip()[:COUNTED_CHARS] for each in chosen]
    counted = Counter(filter(None, map(identify, texts)))
    queries = list(read_queries(find_file(folder, "queries.jsonl")).values())
    others = [query for query in queries if not scripts.include(query)]
    foreign_too = [
        query for query in queries if not scripts.include(query) or foreign.are_foreign(query, languages)
    ]
    sample = LanguageSample(len(texts), 0, 0, counted)
    return GuardFigures(folder.name, sample, len(queries), len(others), len(foreign_too))


def time_queries(queries: Sequence[str]) -> tuple[float, float]:
    """Return the microseconds of processor time of a new query and of a known one."""
    foreign = ForeignQueries(waits=True)
    foreign.are_foreign("how to read a file", ("en",))

    def measure(what: Callable[[str], object]) -> float:
        started = time.process_time()
        for query in queries:
            what(query)
        return (time.process_time() - started) / len(queries) * 1e6

    new = measure(lambda query: foreign.are_foreign(query, ("en",)))
    return new, measure(lambda query: foreign.are_foreign(query, ("en",)))


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--read", "languages", multiple=True, default=["en"], help="Languages that the bundle reads.")
def main(folders: tuple[Path, ...], languages: tuple[str, ...]) -> None:
    """Show the guard's alarms on the collections in FOLDERS."""
    head = "| collection | language of the texts | queries | by script | by query |\n|---|---|---:|---:|---:|"
    rows = [measure_guard(folder, languages).row() for folder in folders]
    queries = list(dict.fromkeys(read_queries(find_file(folders[0], "queries.jsonl")).values()))[:9_000]
    new_us, known_us = time_queries(queries)
    times = f"A new query of {folders[0].name} takes {new_us:.0f} microseconds, a known one {known_us:.1f}."
    Console(width=120).print(Markdown("\n".join([head, *rows, "", times])))


if __name__ == "__main__":
    main()
