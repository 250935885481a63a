"""The toy collection as an index in use: enabled, with the default bundle's vectors, behind a proxy."""

import csv
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opensearchpy import OpenSearch

from plugin.harness.prepared_index import prepare_index
from plugin.harness.proxy_process import running_proxy
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from tests.support.indices.toy_collection import QUERIES, write_toy_collection


@dataclass(frozen=True)
class ToyShop:
    url: str
    proxy: str
    index: str
    bundle: str
    folder: Path
    """The collection in BEIR layout."""

    def write_csv(self, folder: Path, copies: int = 1) -> tuple[Path, Path]:
        """Write the queries and the judgements as spreadsheets, and return both files.

        `copies` is how often each query is there, for an interval that needs more than a few.
        """
        judged = {f"{id_}-{n}" if n else id_: each for n in range(copies) for id_, each in QUERIES.items()}
        queries, judgments = folder / "queries.csv", folder / "judgments.csv"
        with queries.open("w", newline="") as file:
            texts = ((id_, text) for id_, (text, _) in judged.items())
            csv.writer(file).writerows([("query_id", "query"), *texts])
        rows = [(id_, f"d{n}", grade) for id_, (_, grades) in judged.items() for n, grade in grades.items()]
        with judgments.open("w", newline="") as file:
            csv.writer(file).writerows([("query_id", "doc_id", "judgment"), *rows])
        return queries, judgments


def make_toy_shop(client: OpenSearch, url: str) -> Iterator[ToyShop]:
    """Yield the index, and delete it afterwards."""
    index, bundle = f"shop-{uuid.uuid4().hex[:8]}", Bundle.open(DEFAULT_BUNDLE)
    with tempfile.TemporaryDirectory(prefix="twinrank-shop-") as name:
        folder = write_toy_collection(Path(name))
        prepare_index(
            url, index, folder / "corpus.jsonl", ["text"],
            bundle=bundle, analyzer="english", settings={"deadline_ms": 5000},
        )  # fmt: skip
        client.indices.refresh(index=index)
        with running_proxy(url, Path(name), bundle=DEFAULT_BUNDLE) as proxy:
            yield ToyShop(url, proxy.url, index, bundle.label, folder)
    client.indices.delete(index=index)
