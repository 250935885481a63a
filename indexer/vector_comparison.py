"""Whether vectors that an index has already are those of a bundle, by a sample of its documents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from indexer.document import text_of
from indexer.enricher import Encode
from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import RefusedError
from opensearch.fields.float_vectors import read_float_vectors
from opensearch.fields.vector_field import Hit
from opensearch.settings.table import SettingsError
from reranker.arrays import Floats
from reranker.text import Chunking

SAMPLE_SIZE = 10

MIN_COSINE = 0.95
"""The least median cosine at which vectors count as the bundle's own.

Those of the same model differ by its int8, about 0.005, and more if a text is longer than one of the two
reads. Those of another model have nothing in common.
"""


@dataclass(frozen=True)
class ExistingVectors:
    """What a sample showed: how vectors are read (the setting `vectors`), and cosines to the bundle's own."""

    vectors: str
    cosines: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median cosine."""
        return float(np.median(self.cosines))

    def describe(self) -> str:
        """Return the cosines in words."""
        found = f"{min(self.cosines):.4f} to {max(self.cosines):.4f}, median {self.median:.4f}"
        return f"{len(self.cosines)} vectors, cosine {found}"


def compare_vectors(
    client: OpenSearchClient,
    index: str,
    field: str,
    source_fields: Sequence[str],
    encode: Encode,
    chunking: Chunking,
) -> ExistingVectors:
    """Compare up to `SAMPLE_SIZE` random documents' vectors with those that a bundle makes of their texts.

    Args:
        client: of the OpenSearch.
        index: a concrete index.
        field: its `knn_vector` field.
        source_fields: the fields whose text the vectors are said to be of.
        encode: the bundle's document tower.
        chunking: of one chunk, as long as the tower reads.

    Raises:
        SettingsError: no document has both a vector that can be read and a text; or the dimension is another.
        RequestError: OpenSearch cannot be asked.
    """
    vectors, hits = _sample(client, index, field, source_fields)
    raw: list[Hit] = [
        {key: msgspec.Raw(msgspec.json.encode(hit[key])) for key in ("fields", "_source") if key in hit}
        for hit in hits
    ]
    texts = [text_of(hit.get("_source", {}), source_fields) for hit in hits]
    pairs = [
        (text, np.frombuffer(stored, "<f4"))
        for text, stored in zip(texts, read_float_vectors(raw, field), strict=True)
        if text and stored
    ]
    if not pairs:
        where = ", ".join(source_fields)
        raise SettingsError(
            f"{index}: expected documents with a vector in {field} and a text in {where} to compare, found"
            f" none among {len(hits)} with a vector. Name the fields that the vectors were made from with"
            " --field"
        )
    own = [chunks[0] for chunks in encode([text for text, _ in pairs], chunking)]
    for (_, stored), made in zip(pairs, own, strict=True):
        if stored.shape != made.shape:
            raise SettingsError(
                f"{index}: expected vectors of {len(made)} numbers in {field}, as the bundle's are, found"
                f" {len(stored)}"
            )
    return ExistingVectors(
        vectors, tuple(_cosine(stored, made) for (_, stored), made in zip(pairs, own, strict=True))
    )


def _sample(
    client: OpenSearchClient, index: str, field: str, source_fields: Sequence[str]
) -> tuple[str, list[dict[str, Any]]]:
    """Return how a field's vectors are read, and random hits that have one.

    Only OpenSearch itself can say whether it has them in doc values: versions before 3.7 refuse.
    """
    chosen = {"query": {"exists": {"field": field}}, "random_score": {}}
    body = {"size": SAMPLE_SIZE, "_source": list(source_fields), "query": {"function_score": chosen}}
    path = index_path(index, "_search")
    try:
        asked = {**body, "docvalue_fields": [{"field": field, "format": "binary"}]}
        return "doc_values", client.request("POST", path, asked)["hits"]["hits"]
    except RefusedError:
        asked = {**body, "_source": [*source_fields, field]}
        return "source", client.request("POST", path, asked)["hits"]["hits"]


def _cosine(one: Floats, other: Floats) -> float:
    """Return the cosine of two (dim,) vectors; 0 if one of them is 0."""
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / length if length else 0.0
