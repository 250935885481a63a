"""Features of judged queries as files: JSON lines, and the LibSVM form that learners of rankings read."""

import json
from collections.abc import Iterator, Mapping

from plugin.evaluation.tune import Window


def format_jsonl(
    query: str, text: str, window: Window, grades: Mapping[str, float], *, judged_only: bool
) -> Iterator[str]:
    """Yield a line for each hit in first-stage order; the grade of an unjudged one is null."""
    for position, id_ in enumerate(window.ids):
        if window.features is None or (judged_only and id_ not in grades):
            continue
        row = {
            "query_id": query,
            "query": text,
            "doc_id": id_,
            "grade": grades.get(id_),
            "features": window.features.describe_hit(position),
        }
        yield json.dumps(row, ensure_ascii=False)


def format_libsvm(
    query: str, number: int, window: Window, grades: Mapping[str, float], *, judged_only: bool
) -> Iterator[str]:
    """Yield `GRADE qid:NUMBER 1:VALUE ... # QUERY DOCUMENT` for each hit; an unjudged one has grade 0."""
    for position, id_ in enumerate(window.ids):
        if window.features is None or (judged_only and id_ not in grades):
            continue
        values = window.features.values[:, position].tolist()
        columns = " ".join(f"{column}:{value:.9g}" for column, value in enumerate(values, 1))
        names = " ".join(each.replace("\n", " ") for each in (query, id_))
        yield f"{grades.get(id_, 0):g} qid:{number} {columns} # {names}"


def format_header(window: Window) -> str:
    """Return the comment that names the columns of LibSVM."""
    names = () if window.features is None else window.features.names
    return "# " + " ".join(f"{column}:{name}" for column, name in enumerate(names, 1))
