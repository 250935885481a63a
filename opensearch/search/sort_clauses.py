"""Read what a search is sorted by, as OpenSearch reads it (seen on 3.8).

In a body, `"FIELD"`, `{"FIELD": "desc"}` and `{"FIELD": {"order": "DESC"}}` may be alone or in an array;
an object sorts by each of its members. In the URL, a clause whose order is neither `asc` nor `desc` in lower
case is ignored.
"""

from collections.abc import Iterator
from typing import Any

SCORE = "_score"
_ORDERS = ("asc", "desc")

Clause = tuple[str, Any]
"""A field, and how it is sorted by: `{}` if only the field is named."""


def read_body_clauses(sort: Any) -> Iterator[Clause]:  # noqa: ANN401  # any JSON
    """Yield the clauses of a body's `sort`; one that OpenSearch refuses counts as a clause."""
    for part in sort if isinstance(sort, list) else () if sort is None else (sort,):
        if isinstance(part, dict):
            yield from part.items()
        else:
            yield str(part), {}


def read_url_clauses(sort: str) -> Iterator[Clause]:
    """Yield the clauses of the URL's `sort`; empty ones at the end do not count."""
    for part in sort.rstrip(",").split(",") if sort.strip(",") else ():
        field, colon, order = part.rpartition(":")
        if not colon:
            yield part, {}
        elif order in _ORDERS:
            yield field, order


def is_descending_score(clause: Clause) -> bool:
    """Whether a clause is `_score`, best first, which is its default order."""
    field, options = clause
    if field != SCORE:
        return False
    if isinstance(options, dict):
        options = options.get("order", "desc") if options.keys() <= {"order"} else None
    return isinstance(options, str) and options.upper() == "DESC"
