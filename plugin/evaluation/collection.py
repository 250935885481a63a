"""A test collection in the layout of BEIR: documents, queries and relevance judgements."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reranker.beir_files import (
    CORPUS,
    QRELS,
    CollectionError,
    DocumentRecord,
    find_file,
    list_names,
    read_lines,
    read_queries,
    read_records,
)
from reranker.judgements import read_judgements


@dataclass(frozen=True)
class Collection:
    """A collection ready to be searched.

    `queries` is query id -> text; `qrels` is query id -> document id -> grade, only for those queries;
    `left_out` is query id -> documents that do not count as hits of that query (the paper that a Cranfield
    query was made from); `text_fields` are the fields that have text in any document.
    """

    name: str
    num_documents: int
    text_fields: tuple[str, ...]
    queries: dict[str, str]
    qrels: Mapping[str, Mapping[str, float]]
    left_out: dict[str, set[str]]
    num_missing: int = 0
    """How many judged documents are not in the corpus: no search can return them."""

    def select_counted(self, query: str, ids: Sequence[str], judged_only: bool) -> list[str]:
        """Return the ids, in order, that count as hits: not left out, and judged if `judged_only`."""
        left_out, judged = self.left_out.get(query, set()), self.qrels[query]
        return [id_ for id_ in ids if id_ not in left_out and (id_ in judged or not judged_only)]


def read_collection(
    folder: Path, *, queries_limit: int | None = None, qrels_file: Path | None = None
) -> Collection:
    """Read `corpus.jsonl`, `queries.jsonl`, `qrels.tsv` or `qrels/test.tsv`, and `source_docs.tsv` if there.

    Each file may be gzipped. Queries without judgements are left out; `queries_limit` keeps the first ones,
    in the order of the file.

    Raises:
        CollectionError: a file is missing, or a line of it is not as BEIR writes it.
    """
    qrels_path = qrels_file or find_file(folder, *QRELS)
    judged = read_judgements(qrels_path)
    texts = read_queries(find_file(folder, "queries.jsonl"))
    queries = {query: texts[query] for query in [q for q in texts if q in judged][:queries_limit]}
    if not queries:
        raise CollectionError(f"{folder}: expected judged queries, found none that is in both files")
    corpus = find_file(folder, CORPUS)
    qrels = {query: judged[query] for query in queries}
    documents = collect_judged(qrels)
    num_documents, fields, missing = _survey(corpus, documents)
    if len(missing) == len(documents):
        raise CollectionError(
            f"{corpus}: expected judged documents, found {describe_coverage(qrels_path, documents, missing)}"
        )
    left_out = _read_left_out(folder)
    name = folder.resolve().name
    return Collection(name, num_documents, fields, queries, qrels, left_out, len(missing))


def collect_judged(qrels: Mapping[str, Mapping[str, float]]) -> set[str]:
    """Return the ids of all documents that have a grade."""
    return {document for grades in qrels.values() for document in grades}


def describe_coverage(qrels: Path, judged: set[str], missing: set[str]) -> str:
    """Describe how many judged documents there are, with an example of a missing one."""
    words = f"{len(judged) - len(missing)} of the {len(judged)} in {qrels}"
    return f"{words} (missing: {min(missing)!r}, for example)" if missing else words


def _read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the numbered rows of a file between tabs, without its header."""
    for number, line in read_lines(path):
        row = line.rstrip("\r\n").split("\t")
        if row[0] != "query-id":
            yield number, row


def _survey(path: Path, judged: set[str]) -> tuple[int, tuple[str, ...], set[str]]:
    """Count the documents, name the fields that have text in any, and return the judged that are missing."""
    count, titles, missing = 0, 0, set(judged)
    for document in read_records(path, DocumentRecord):
        count += 1
        titles += bool((document.title or "").strip())
        missing.discard(str(document.id))
    return count, ("title", "text") if titles else ("text",), missing


def _read_left_out(folder: Path) -> dict[str, set[str]]:
    left_out: dict[str, set[str]] = defaultdict(set)
    for path in list_names(folder / "source_docs.tsv"):
        for number, row in _read_rows(path) if path.is_file() else ():
            if len(row) < 2:
                raise CollectionError(
                    f"{path}, line {number}: expected query-id, tab, corpus-id, found {row}"
                )
            left_out[row[0]].add(row[1])
    return dict(left_out)
