"""Judgements against the index that is measured: what no search can return cannot be measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click

from opensearch.client import OpenSearchClient, index_path
from plugin.errors import CommandError
from plugin.evaluation.collection import collect_judged
from plugin.evaluation.workbench import (
    SCHEME,
    fetch_judgements,
    fetch_query_set,
    parse_judgement_list,
    parse_query_set,
    read_saved,
)
from reranker.beir_files import QRELS, find_file
from reranker.judgements import Grades, JudgementFile, read_judgement_file
from reranker.query_files import EvaluationQuery, Queries, read_query_file

BATCH_IDS = 10_000
"""So many ids are asked for in one request."""


class NothingJudgedError(CommandError):
    """None of the judged documents is in the index: every measure would be 0, whatever the settings."""


class NoJudgedQueryError(CommandError):
    """No query is both asked and judged, or nothing says which: says what was expected."""


@dataclass(frozen=True)
class JudgedQueries:
    """The queries that are judged, in the order of their file, and their judgements.

    `num_missing` counts the judged documents that are not in the index.
    """

    queries: Queries
    grades: Grades
    num_missing: int = 0

    @property
    def texts(self) -> dict[str, str]:
        """Query id -> text."""
        return {id_: query.text for id_, query in self.queries.items()}


def read_judged_queries(
    client: OpenSearchClient, index: str, queries: str | None, judgments: str | None
) -> JudgedQueries:
    """Read the queries that are judged, with their judgements; what is left out is noted on stderr.

    Both are files, or `workbench:ID` for a list of Search Relevance Workbench. `queries` may be a folder in
    BEIR layout, which has judgements too; it may be None if the judgements have the texts of their queries.

    Raises:
        CollectionError: a file is not what it must be.
        NoJudgedQueryError: no query is in both, or something is not given.
        NothingJudgedError: the index has none of the documents.
        RequestError: OpenSearch cannot be asked.
    """
    judged_in = _name_judgements(queries, judgments)
    judged = _read_judgements(client, judged_in)
    asked = {id_: EvaluationQuery(text) for id_, text in judged.texts.items()}
    if queries is not None:
        asked = _read_queries(client, queries)
    elif not asked:
        raise NoJudgedQueryError(
            f"expected --queries FILE, since {judged_in} has ids of queries and no texts"
        )
    both = {id_: query for id_, query in asked.items() if id_ in judged.grades}
    if not both:
        raise NoJudgedQueryError(
            f"expected queries of {queries} with judgements in {judged_in}, found none: the first query is"
            f" {next(iter(asked))!r}, the first judged one is {next(iter(judged.grades))!r}"
        )
    grades = {id_: judged.grades[id_] for id_ in both}
    num_missing = _check_documents(client, index, collect_judged(grades), judged_in)
    if len(both) < len(asked):
        print_note(f"{len(asked) - len(both)} of {len(asked)} queries have no judgement in {judged_in}")
    if len(both) < len(judged.grades):
        lost = len(judged.grades) - len(both)
        print_note(f"{lost} of {len(judged.grades)} judged queries are not in {queries}")
    if judged.num_unrated:
        print_note(f"{judged.num_unrated} rows of {judged_in} have no rating")
    return JudgedQueries(both, grades, num_missing)


def print_note(text: str) -> None:
    """Print a note on standard error."""
    click.echo(f"note: {text}", err=True)


def _name_judgements(queries: str | None, judgments: str | None) -> str:
    """Return where the judgements are: as given, or in the folder of the queries.

    Raises:
        CollectionError: the folder has none.
        NoJudgedQueryError: nothing says where they are.
    """
    if judgments is not None:
        return judgments
    if queries is not None and Path(queries).is_dir():
        return str(find_file(Path(queries), *QRELS))
    raise NoJudgedQueryError(
        "expected --judgments FILE with rows of query_id, doc_id and judgment, or a folder in BEIR layout as"
        " --queries, found neither"
    )


def _read_queries(client: OpenSearchClient, queries: str) -> Queries:
    if queries.startswith(SCHEME):
        return fetch_query_set(client, queries.removeprefix(SCHEME))
    path = _find(queries, "--queries")
    saved = read_saved(path)
    return read_query_file(path) if saved is None else parse_query_set(saved, queries)


def _read_judgements(client: OpenSearchClient, judgments: str) -> JudgementFile:
    if judgments.startswith(SCHEME):
        return fetch_judgements(client, judgments.removeprefix(SCHEME))
    path = _find(judgments, "--judgments")
    saved = read_saved(path)
    if saved is not None:
        return parse_judgement_list(saved, judgments)
    return read_judgement_file(find_file(path, *QRELS) if path.is_dir() else path)


def _find(value: str, option: str) -> Path:
    """Return the path of a file or folder.

    Raises:
        NoJudgedQueryError: there is none.
    """
    path = Path(value)
    if not path.exists():
        raise NoJudgedQueryError(f"{option}: expected a file, found no {value}")
    return path


def _check_documents(client: OpenSearchClient, index: str, documents: set[str], judged_in: str) -> int:
    """Return how many judged documents are not in the index.

    Raises:
        NothingJudgedError: none of them is.
    """
    found = min(sum(_counts(client, index, documents)), len(documents))
    said = f"{found} of {len(documents)} judged documents are in {index}"
    if not found:
        raise NothingJudgedError(
            f"{said}: an id in {judged_in}, such as {min(documents)!r}, must be the _id of a document"
        )
    if found < len(documents):
        print_note(said)
    return len(documents) - found


def _counts(client: OpenSearchClient, index: str, documents: set[str]) -> Iterator[int]:
    ids = iter(sorted(documents))
    while batch := list(islice(ids, BATCH_IDS)):
        answer = client.request("POST", index_path(index, "_count"), {"query": {"ids": {"values": batch}}})
        yield answer["count"]
