"""Judgements against the index that is measured: what no search can return cannot be measured."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from opensearch.client import OpenSearchClient, index_path
from plugin.errors import CommandError
from plugin.evaluation.collection import collect_judged
from reranker.beir_files import read_queries
from reranker.judgements import Judgements, read_judgements

BATCH_IDS = 10_000
"""So many ids are asked for in one request."""


class NothingJudgedError(CommandError):
    """None of the judged documents is in the index: every measure would be 0, whatever the settings."""


def read_judged_queries(
    client: OpenSearchClient, index: str, queries: Path, qrels: Path
) -> tuple[dict[str, str], Judgements]:
    """Return the texts of the judged queries, and all judgements; what is left out is noted on stderr.

    Raises:
        CollectionError: a file is not what it must be.
        NothingJudgedError: the index has none of the documents.
        RequestError: OpenSearch cannot be asked.
    """
    judged, texts = read_judgements(qrels), read_queries(queries)
    both = {query: text for query, text in texts.items() if query in judged}
    if both:
        _check_documents(client, index, collect_judged({query: judged[query] for query in both}), qrels)
    if len(both) < len(texts):
        print_note(f"{len(texts) - len(both)} of {len(texts)} queries have no judgement in {qrels}")
    if len(both) < len(judged):
        print_note(f"{len(judged) - len(both)} of {len(judged)} judged queries are not in {queries}")
    return both, judged


def print_note(text: str) -> None:
    """Print a note on standard error."""
    click.echo(f"note: {text}", err=True)


def _check_documents(client: OpenSearchClient, index: str, documents: set[str], qrels: Path) -> None:
    found = min(sum(_counts(client, index, documents)), len(documents))
    said = f"{found} of {len(documents)} judged documents are in {index}"
    if not found:
        raise NothingJudgedError(
            f"{said}: an id in {qrels}, such as {min(documents)!r}, must be the _id of a document"
        )
    if found < len(documents):
        print_note(said)


def _counts(client: OpenSearchClient, index: str, documents: set[str]) -> Iterator[int]:
    ids = iter(sorted(documents))
    while batch := list(islice(ids, BATCH_IDS)):
        answer = client.request("POST", index_path(index, "_count"), {"query": {"ids": {"values": batch}}})
        yield answer["count"]
