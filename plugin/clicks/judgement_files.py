"""The files that judgements from clicks are written to, in the forms that other programs read."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TextIO

from plugin.clicks.click_judgements import ClickJudgement
from plugin.errors import CommandError

NAME = "Clicks, by Twinrank"
"""The name of the lists in Search Relevance Workbench, which takes at most 50 characters."""

_DESCRIPTION = "Clicks over expected clicks, as grades from 0 to 3 (twinrank judgments)"

BEIR = "beir"

Write = Callable[[TextIO, TextIO, Iterable[ClickJudgement]], None]


class OutputFolderError(CommandError):
    """The files cannot be written: says where and why."""


def write_judgements(folder: Path, form: str, judgements: Iterable[ClickJudgement]) -> tuple[Path, Path]:
    """Write queries and judgements in one of FORMS, and return both files. `judgements` are query by query.

    Raises:
        OutputFolderError: they cannot be written.
    """
    (queries, judged), write = FORMS[form]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            (folder / queries).open("w", encoding="utf-8", newline="") as query_file,
            (folder / judged).open("w", encoding="utf-8", newline="") as judgement_file,
        ):
            write(query_file, judgement_file, judgements)
    except OSError as error:
        raise OutputFolderError(f"expected to write judgements to {folder}, found: {error}") from error
    return folder / queries, folder / judged


def _by_query(judgements: Iterable[ClickJudgement]) -> Iterator[tuple[str, str, Iterator[ClickJudgement]]]:
    """Yield each query's id, text and judgements."""
    for (id_, text), each in groupby(judgements, key=lambda found: (found.query_id, found.text)):
        yield id_, text, each


def _write_csv(queries: TextIO, judged: TextIO, judgements: Iterable[ClickJudgement]) -> None:
    query_rows, rows = csv.writer(queries, lineterminator="\n"), csv.writer(judged, lineterminator="\n")
    query_rows.writerow(["query_id", "query"])
    rows.writerow(["query_id", "doc_id", "judgment", "coec", "clicks", "impressions"])
    for id_, text, each in _by_query(judgements):
        query_rows.writerow([id_, text])
        rows.writerows(
            [id_, found.document, found.grade, f"{found.coec:.3f}", found.clicks, found.impressions]
            for found in each
        )


def _write_beir(queries: TextIO, judged: TextIO, judgements: Iterable[ClickJudgement]) -> None:
    judged.write("query-id\tcorpus-id\tscore\n")
    for id_, text, each in _by_query(judgements):
        queries.write(json.dumps({"_id": id_, "text": text}, ensure_ascii=False) + "\n")
        judged.writelines(f"{id_}\t{found.document}\t{found.grade}\n" for found in each)


def _write_workbench(queries: TextIO, judged: TextIO, judgements: Iterable[ClickJudgement]) -> None:
    """Write the bodies for `PUT _plugins/_search_relevance/query_sets` and `.../judgments`."""
    head = {"name": NAME, "description": _DESCRIPTION}
    _open_list(queries, {**head, "sampling": "manual"}, "querySetQueries")
    _open_list(judged, {**head, "type": "IMPORT_JUDGMENT"}, "judgmentRatings")
    separator = "\n"
    for _, text, each in _by_query(judgements):
        ratings = [{"docId": found.document, "rating": f"{found.grade}.0"} for found in each]
        queries.write(separator + json.dumps({"queryText": text}, ensure_ascii=False))
        judged.write(separator + json.dumps({"query": text, "ratings": ratings}, ensure_ascii=False))
        separator = ",\n"
    for file in (queries, judged):
        file.write("\n]}\n")


def _open_list(file: TextIO, head: dict[str, str], name: str) -> None:
    """Write an object up to the opening bracket of its last member."""
    file.write(f'{json.dumps(head).removesuffix("}")}, "{name}": [')


FORMS: dict[str, tuple[tuple[str, str], Write]] = {
    "csv": (("queries.csv", "judgments.csv"), _write_csv),
    BEIR: (("queries.jsonl", "qrels.tsv"), _write_beir),
    "workbench": (("query_set.json", "judgments.json"), _write_workbench),
}
"""Each form, the names of its two files, and what writes them."""
