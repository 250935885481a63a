"""From clicks to a training: what is learned from, what is held back, and the configuration between them."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.data.clicks import COLUMNS, ClickedDocument
from model_export.errors import TrainingError
from model_export.train.unpack import unpack
from reranker.beir_files import CORPUS
from reranker.bundle import Bundle

HELD_BACK = 0.2
"""The share of queries that are never learned from."""

MIN_IMPRESSIONS = 20
"""A document that was shown less often for a query says nothing: one click would be half of them."""

MIN_QUERIES = 100
"""With fewer queries with clicks there is nothing to learn, and nothing to see it by."""

MAX_GRADE = 3
BATCH = 16


@dataclass(frozen=True)
class ClickFiles:
    """What was written into a folder: a configuration for `train`, and a collection in BEIR layout."""

    config: Path
    held_back: Path
    num_learned: int
    num_held_back: int


def write_click_files(
    clicks: Sequence[ClickedDocument], bundle: Bundle, out: Path, *, name: str, epochs: int
) -> ClickFiles:
    """Split clicks by query, unpack the bundle, and write everything that `train` reads into `out`.

    Raises:
        TrainingError: too few queries have clicks, or the bundle has two query towers.
        ExportError: the bundle cannot be unpacked.
    """
    if bundle.manifest.whole_beyond is not None:
        raise TrainingError(
            f"expected a bundle with one query tower, found {bundle.name} with another for long queries:"
            " start from bge-small-en-v1.5"
        )
    usable = [each for each in clicks if each.impressions >= MIN_IMPRESSIONS and each.query]
    clicked = {each.query for each in usable if each.clicks}
    if len(clicked) < MIN_QUERIES:
        raise TrainingError(
            f"expected at least {MIN_QUERIES} queries with a click on a document that was shown"
            f" {MIN_IMPRESSIONS} times, found {len(clicked)} of {len({each.query for each in clicks})}"
        )
    held_back = {query for query in clicked if _hash(query) < HELD_BACK}
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "base").exists():
        unpack(bundle, out / "base")
    learned = [each for each in usable if each.query in clicked - held_back]
    _write_learned(out / "clicks.tsv", learned)
    _write_collection(out / "held-back", [each for each in usable if each.query in held_back], usable)
    config = out / "train.toml"
    config.write_text(_format_config(bundle, out, name, len(clicked - held_back), epochs))
    return ClickFiles(config, out / "held-back", len(clicked - held_back), len(held_back))


def _hash(query: str) -> float:
    """Return a number from 0 to 1 that the query decides, whatever its case."""
    digest = hashlib.sha256(f"held back {query.casefold()}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def _write_learned(file: Path, clicks: Sequence[ClickedDocument]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows(
            (_plain(each.query), _plain(each.document), each.clicks, each.impressions) for each in clicks
        )


def _plain(text: str) -> str:
    """Return a text without what would end a cell."""
    return " ".join(text.split())


def _write_collection(
    folder: Path, judged: Sequence[ClickedDocument], every: Sequence[ClickedDocument]
) -> None:
    """Write held-back queries, and all documents; the grade is the rate in the query's best document's."""
    folder.mkdir(exist_ok=True)
    ids = {text: str(number) for number, text in enumerate(dict.fromkeys(each.document for each in every))}
    queries = {text: str(number) for number, text in enumerate(dict.fromkeys(each.query for each in judged))}
    best: dict[str, float] = {}
    for each in judged:
        best[each.query] = max(best.get(each.query, 0.0), each.rate)
    _write_lines(folder / CORPUS, ({"_id": key, "text": text} for text, key in ids.items()))
    _write_lines(folder / "queries.jsonl", ({"_id": key, "text": text} for text, key in queries.items()))
    grades = (
        f"{queries[each.query]}\t{ids[each.document]}\t{round(MAX_GRADE * each.rate / best[each.query])}"
        for each in judged
    )
    lines = ["query-id\tcorpus-id\tscore", *grades, ""]
    (folder / "qrels.tsv").write_text("\n".join(lines), encoding="utf-8")


def _write_lines(file: Path, rows: Iterable[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def _format_config(bundle: Bundle, out: Path, name: str, num_queries: int, epochs: int) -> str:
    """Return the configuration: the query tower alone learns, from the clicks and from what it was."""
    manifest = bundle.manifest
    return f"""# Made from clicks. Change it, and run:
# twinrank-export train {out / "train.toml"} --out {out / "run"}
[model]
name = {json.dumps(name)}
licence = {json.dumps(manifest.licence)}
base = {json.dumps(str(out / "base"))}
shared = false
query_prefix = {json.dumps(manifest.query.prefix)}

[data]
dev_share = 0.1

[[data.train]]
kind = "clicks"
path = {json.dumps(str(out / "clicks.tsv"))}
licence = "one's own clicks"

[teacher]
encoders = [{json.dumps(str(bundle.path))}]

[distil]
objective = "listwise_kl"
gold_weight = 0.5
negatives = 7

[run]
epochs = {epochs}
batch_size = {BATCH}
learning_rate = 2e-5
evaluate_every = {max(5, num_queries // BATCH // 2)}
patience = 6
threads = {os.cpu_count() or 1}
"""
