"""Query sets and judgements of Search Relevance Workbench: by its REST API, or saved as JSON.

Its lists know a query by its text alone, so the text is the query's id here.
"""

import math
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from opensearch.client import OpenSearchClient
from plugin.errors import CommandError
from reranker.beir_files import read_lines
from reranker.judgements import Grades, JudgementFile
from reranker.query_files import EvaluationQuery, Queries

SCHEME = "workbench:"
"""Begins the value of an option that names a list in the cluster: `workbench:ID`."""

_API = "/_plugins/_search_relevance"


class WorkbenchError(CommandError):
    """A list is not what Search Relevance Workbench writes, or is not there: says what was expected."""


class _QueryEntry(msgspec.Struct):
    queryText: str  # noqa: N815  # the plugin's own name


class _QuerySet(msgspec.Struct):
    querySetQueries: list[_QueryEntry]  # noqa: N815  # the plugin's own name


class _Rating(msgspec.Struct):
    docId: str  # noqa: N815  # the plugin's own name
    rating: str | float | int


class _RatedQuery(msgspec.Struct):
    query: str
    ratings: list[_Rating]


class _JudgementList(msgspec.Struct):
    judgmentRatings: list[_RatedQuery]  # noqa: N815  # the plugin's own name


_List = TypeVar("_List", _QuerySet, _JudgementList)


def fetch_query_set(client: OpenSearchClient, id_: str) -> Queries:
    """Return the queries of a query set in the cluster.

    Raises:
        WorkbenchError: there is none.
        RequestError: OpenSearch cannot be asked, or has no such plugin.
    """
    path = f"{_API}/query_sets/{quote(id_, safe='')}"
    return parse_query_set(client.request("GET", path), f"{SCHEME}{id_}")


def fetch_judgements(client: OpenSearchClient, id_: str) -> JudgementFile:
    """Return the judgements of a list in the cluster.

    Raises:
        WorkbenchError, RequestError: as `fetch_query_set`.
    """
    path = f"{_API}/judgments/{quote(id_, safe='')}"
    return parse_judgement_list(client.request("GET", path), f"{SCHEME}{id_}")


def read_saved(path: Path) -> dict[str, Any] | None:
    """Return a saved answer or import of the Workbench; None if the file is anything else.

    Raises:
        CollectionError: the file cannot be read.
    """
    if not path.is_file():
        return None
    lines = read_lines(path)
    _, first = next(lines, (0, ""))
    if not first.lstrip().startswith("{"):
        return None
    try:
        whole = msgspec.json.decode("".join([first, *(line for _, line in lines)]), type=dict[str, Any])
    except msgspec.MsgspecError:
        return None  # lines of JSON
    known = ("hits", "_source", "querySetQueries", "judgmentRatings")
    return whole if any(name in whole for name in known) else None


def parse_query_set(body: dict[str, Any], source: str) -> Queries:
    """Return the queries of a query set; `source` names it in errors.

    Raises:
        WorkbenchError: it is none, or has no query.
    """
    found = _convert(body, _QuerySet, source, "a query set with querySetQueries")
    texts = [entry.queryText.strip() for entry in found.querySetQueries if entry.queryText.strip()]
    if not texts:
        raise WorkbenchError(f"{source}: expected queries, found a query set without any")
    return {text: EvaluationQuery(text) for text in texts}


def parse_judgement_list(body: dict[str, Any], source: str) -> JudgementFile:
    """Return the judgements of a list; `source` names it in errors.

    Raises:
        WorkbenchError: it is none, has no grade above 0, or grades a document twice for one query.
    """
    found = _convert(body, _JudgementList, source, "a judgment list with judgmentRatings")
    grades: Grades = {}
    for rated in found.judgmentRatings:
        query = rated.query.strip()
        for rating in rated.ratings:
            grade = _parse_rating(rating, query, source)
            known = grades.setdefault(query, {}).setdefault(rating.docId, grade)
            if known != grade:
                raise WorkbenchError(
                    f"{source}: expected one rating of document {rating.docId} for query {query!r}, found"
                    f" {grade:g} after {known:g}"
                )
    if not any(grade > 0 for each in grades.values() for grade in each.values()):
        raise WorkbenchError(f"{source}: expected a rating above 0, found none: nothing could be measured")
    return JudgementFile(grades, {query: query for query in grades})


def _parse_rating(rating: _Rating, query: str, source: str) -> float:
    try:
        grade = float(rating.rating)
    except ValueError:
        grade = math.nan
    if not math.isfinite(grade):
        raise WorkbenchError(
            f"{source}: expected a number as the rating of document {rating.docId} for query {query!r},"
            f" found {rating.rating!r}"
        )
    return grade


def _convert(body: dict[str, Any], kind: type[_List], source: str, expected: str) -> _List:
    """Return the one list in a body: the answer to a search or a lookup, or the list itself.

    Raises:
        WorkbenchError: there is none, or more than one.
    """
    inner: Any = body
    if isinstance(body.get("hits"), dict):
        hits = body["hits"].get("hits")
        if not isinstance(hits, list) or len(hits) != 1:
            count = len(hits) if isinstance(hits, list) else "none"
            raise WorkbenchError(f"{source}: expected {expected}, found {count} lists")
        inner = hits[0]
    if isinstance(inner, dict) and "_source" in inner:
        inner = inner["_source"]
    try:
        return msgspec.convert(inner, kind)
    except msgspec.ValidationError as error:
        raise WorkbenchError(f"{source}: expected {expected}, found: {error}") from error
