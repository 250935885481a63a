"""The keys of the queries that no label file may have: they are looked for without the collections.

`python -m tests.support.evaluation_queries` writes them from the collections, and a test compares.
"""

from typing import Any

import numpy as np

from model_export.data.examples import read_query_texts
from model_export.data.split import CALIBRATION_SOURCES, is_for_calibration
from model_export.labelling.label_file import QueryKeys, hash_query
from tests.support.paths import TESTS
from tests.support.public_data import DATA

FILE = TESTS / "model_export" / "labelling" / "evaluation_queries.npz"
EVALUATED = ("cacm", "cranfield", "homedepot", "msmarco_dl21", "nfcorpus", "npl", "trecqa", "wikiqa")
KEPT_OUT = (*EVALUATED, *CALIBRATION_SOURCES)
"""The collections whose queries, or in part those kept for calibration, are in no label file."""


def read_keys(name: str) -> QueryKeys:
    """Return the committed keys of a collection's queries, in rising order."""
    with np.load(FILE) as stored:
        keys: QueryKeys = stored[name]
    return keys


def make_keys(name: str) -> QueryKeys:
    """Return the keys that a collection's folder gives, in rising order."""
    texts = read_query_texts(DATA / name)
    if name in CALIBRATION_SOURCES:
        texts = [text for text in texts if is_for_calibration(name, text)]
    return np.unique(np.array([hash_query(text) for text in texts], np.uint64))


if __name__ == "__main__":
    made: dict[str, Any] = {name: make_keys(name) for name in KEPT_OUT}  # numpy's types know no such names
    np.savez_compressed(FILE, **made)
