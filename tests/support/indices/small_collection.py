"""A small real collection: descriptions of Python's functions, asked for in words around a few of theirs."""

import gzip
import json
import random
from functools import cache
from pathlib import Path

from plugin.demo.docstrings import Documented, read_standard_library

FILLERS = [
    "please",
    "tell",
    "me",
    "how",
    "one",
    "would",
    "best",
    "go",
    "about",
    "this",
    "in",
    "python",
    "today",
    "with",
    "any",
    "version",
    "thanks",
]


def write_small_collection(folder: Path, *, num_documents: int, num_queries: int) -> Path:
    """Write it in BEIR layout, gzipped, into a new folder, and return that."""
    folder.mkdir(parents=True)
    chosen = random.Random(3)
    found = [each for each in _library() if 8 <= len(each.text.split()) <= 30][:num_documents]
    _write(folder / "corpus.jsonl.gz", [json.dumps({"_id": each.id, "text": each.text}) for each in found])
    queries, qrels = [], ["query-id\tcorpus-id\tscore"]
    for number, each in enumerate(chosen.sample(found, num_queries)):
        words = [*chosen.sample(FILLERS, 8), *chosen.sample(each.text.split(), 4)]
        chosen.shuffle(words)
        queries.append(json.dumps({"_id": f"q{number}", "text": " ".join(words)}))
        qrels.append(f"q{number}\t{each.id}\t1")
    _write(folder / "queries.jsonl.gz", queries)
    _write(folder / "qrels.tsv.gz", qrels)
    return folder


@cache
def _library() -> list[Documented]:
    return read_standard_library()


def _write(file: Path, lines: list[str]) -> None:
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
