"""Examples to learn from: queries, documents, and which document answers which query."""

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from model_export.data.books import read_modules
from model_export.data.clicks import ClickedDocument, read_clicks
from model_export.data.collection import load_collection
from model_export.data.sources import Source
from model_export.data.texts import draw_spans, read_wordnet
from model_export.errors import TrainingError
from reranker.beir_files import CollectionError


@dataclass(frozen=True)
class Examples:
    """Labelled pairs; `gold` is query id -> document id -> relevance, 0 to 1, unknown for others."""

    queries: dict[str, str] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    gold: dict[str, dict[str, float]] = field(default_factory=dict)

    def select(self, queries: Iterable[str]) -> "Examples":
        """Return the examples of these queries, over all documents."""
        kept = [query for query in queries if query in self.queries]
        return Examples(
            {query: self.queries[query] for query in kept},
            self.documents,
            {query: self.gold.get(query, {}) for query in kept},
        )

    def list_relevant(self, query: str) -> list[str]:
        """Return the documents that answer a query, best first."""
        grades = {document: grade for document, grade in self.gold[query].items() if grade > 0}
        return sorted(grades, key=lambda document: -grades[document])


def read_examples(sources: Iterable[Source]) -> Examples:
    """Read all sources into one; an id begins with the number of its source.

    Raises:
        TrainingError: a source is missing or empty, or a line does not have its kind's format.
    """
    return join_examples(
        [select_queries(read_source(source), source, number) for number, source in enumerate(sources)]
    )


def select_queries(whole: Examples, source: Source, number: int) -> Examples:
    """Return the queries that a source asks for, of all that are in it; ids begin with its number.

    Raises:
        TrainingError: there is none.
    """
    found = _limit_queries(_replace_by_spans(whole, source), source.max_queries)
    if not found.queries:
        raise TrainingError(f"expected queries in {source.path}, found none")
    return Examples(
        {f"{number}/{i}": source.template.format(text) for i, text in found.queries.items()},
        {f"{number}/{i}": text for i, text in found.documents.items()},
        {
            f"{number}/{query}": {f"{number}/{i}": grade for i, grade in grades.items()}
            for query, grades in found.gold.items()
        },
    )


def join_examples(parts: Iterable[Examples]) -> Examples:
    """Join examples whose ids differ into one."""
    whole = Examples()
    for part in parts:
        whole.queries.update(part.queries)
        whole.documents.update(part.documents)
        whole.gold.update(part.gold)
    return whole


def read_query_texts(folder: Path) -> list[str]:
    """Return every query of a BEIR folder, judged or not, those of further splits too."""
    files = sorted(folder.glob("queries*.jsonl*"))
    if not files:
        raise TrainingError(f"expected a collection in BEIR layout in {folder}, found no queries")
    return [json.loads(line)["text"] for file in files for line in _read_lines(file)]


def read_source(source: Source) -> Examples:
    """Read everything that is in a source, with its own ids.

    Raises:
        TrainingError: it is missing, or a line does not have its kind's format.
    """
    path = Path(source.path)
    if source.kind == "wordnet":
        return _make_unlabelled(read_wordnet(path))
    if source.kind == "cnxml":
        return _read_books(path)
    if source.kind == "beir":
        return _read_beir(path)
    if source.kind == "clicks":
        return _arrange_clicks(read_clicks(path))
    try:
        lines = list(_read_lines(path))
    except OSError as error:
        raise TrainingError(f"expected {source.kind} in {path}, found: {error}") from error
    if source.kind == "texts":
        return _make_unlabelled(lines)
    return _parse_pairs(lines, path)


def _read_beir(folder: Path) -> Examples:
    try:
        data = load_collection(folder)
    except CollectionError as error:
        raise TrainingError(str(error)) from error
    best = max((grade for grades in data.qrels.values() for grade in grades.values()), default=1) or 1
    gold = {
        query: {i: max(grade, 0) / best for i, grade in data.qrels[query].items() if i in data.documents}
        for query in data.queries
    }
    return Examples(dict(data.queries), data.documents, gold)


def _read_books(folder: Path) -> Examples:
    found = list(read_modules(folder))
    headings = _make_unlabelled(text for module in found for text in module.headings)
    paragraphs = dict.fromkeys(text for module in found for text in module.paragraphs)
    return Examples(headings.queries, {str(i): text for i, text in enumerate(paragraphs)})


def _parse_pairs(lines: list[str], path: Path) -> Examples:
    found = Examples()
    for number, line in enumerate(lines, 1):
        query, tab, text = line.partition("\t")
        if not (tab and query.strip() and text.strip()):
            raise TrainingError(f"{path}, line {number}: expected query, tab, text, found {line[:60]!r}")
        found.queries[str(number)] = query
        found.documents[str(number)] = text
        found.gold[str(number)] = {str(number): 1.0}
    return found


def _arrange_clicks(counts: Iterable[ClickedDocument]) -> Examples:
    """Return clicks as examples: relevance is the share of impressions that were clicked; 0 is a negative."""
    found, queries, documents = Examples(), dict[str, str](), dict[str, str]()
    for each in counts:
        query = queries.setdefault(each.query, str(len(queries)))
        document = documents.setdefault(each.document, str(len(documents)))
        found.queries[query], found.documents[document] = each.query, each.document
        found.gold.setdefault(query, {})[document] = each.rate
    return found


def _read_lines(file: Path) -> Iterator[str]:
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as data:
        lines = io.TextIOWrapper(data, encoding="utf-8")
        yield from (line.rstrip("\r\n") for line in lines)


def _make_unlabelled(texts: Iterable[str]) -> Examples:
    """Return the texts as queries, each once, in the order of their first occurrence."""
    kept = dict.fromkeys(text for text in texts if text.strip())
    return Examples(queries={str(i): text for i, text in enumerate(kept)})


def _replace_by_spans(found: Examples, source: Source) -> Examples:
    """Return spans of the documents in place of the queries, if the source asks for spans."""
    if not source.spans:
        return found
    if source.span_words[0] > source.span_words[1]:
        raise TrainingError(f"expected span_words as fewest and most, found {list(source.span_words)}")
    documents = found.documents.values()
    return _make_unlabelled(draw_spans(documents, per_document=source.spans, words=source.span_words))


def _limit_queries(found: Examples, max_queries: int | None) -> Examples:
    """Return at most `max_queries` queries, evenly spaced, because a source may be sorted."""
    if not max_queries or len(found.queries) <= max_queries:
        return found
    every = len(found.queries) / max_queries
    queries = list(found.queries)
    return found.select([queries[int(place * every)] for place in range(max_queries)])
