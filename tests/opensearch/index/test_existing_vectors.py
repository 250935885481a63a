"""Fields that hold vectors already: which can be read, and what is said of the others."""

from typing import Any

import pytest

from opensearch.errors import MappingError
from opensearch.index.existing_vectors import ExistingField, check_existing_field, find_existing_field
from opensearch.index.mapping import check_settings
from opensearch.index.metadata import Index
from opensearch.settings.table import RerankSettings

KNN = {"type": "knn_vector", "dimension": 384}
SEMANTIC = {"type": "semantic", "model_id": "m"}


def index(properties: dict[str, Any], **mapping: Any) -> Index:  # noqa: ANN401  # any mapping
    return Index("books", {"properties": properties, **mapping}, {}, {})


def test_a_vector_field_has_a_dimension() -> None:
    found = find_existing_field(index({"a": {"properties": {"b": KNN}}}), "a.b")
    assert found == ExistingField("a.b", 384)


def test_a_trained_models_dimension_is_not_in_the_mapping() -> None:
    found = find_existing_field(index({"v": {"type": "knn_vector", "model_id": "m"}}), "v")
    assert found.dim is None


def test_a_semantic_fields_embedding_is_beside_it() -> None:
    info = {"properties": {"embedding": KNN}}
    whole = index({"passage": SEMANTIC, "passage_semantic_info": info})
    wanted = ExistingField("passage_semantic_info.embedding", 384, "passage")
    assert find_existing_field(whole, "passage") == wanted
    assert find_existing_field(whole, "passage_semantic_info.embedding") == wanted
    named = SEMANTIC | {"semantic_info_field_name": "info"}
    inside = index({"doc": {"properties": {"passage": named, "info": info}}})
    assert find_existing_field(inside, "doc.passage").name == "doc.info.embedding"


@pytest.mark.parametrize(
    ("properties", "name", "words"),
    [
        ({"v": KNN, "t": {"type": "text"}}, "w", "expected a `knn_vector` field w, found none"),
        ({"v": KNN, "t": {"type": "text"}}, "t", "found text. Fields with vectors: v"),
        ({"v": KNN | {"data_type": "byte"}}, "v", "`data_type: byte`"),
        ({"n": {"type": "nested", "properties": {"v": KNN}}}, "n.v", "in nested objects"),
        (
            {
                "p": SEMANTIC | {"chunking": True},
                "p_semantic_info": {
                    "properties": {"chunks": {"type": "nested", "properties": {"embedding": KNN}}}
                },
            },
            "p",
            "in nested objects",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(properties: dict[str, Any], name: str, words: str) -> None:
    with pytest.raises(MappingError, match=words):
        find_existing_field(index(properties), name)


def test_a_source_that_does_not_keep_the_vector_leaves_doc_values() -> None:
    kept = index({"v": KNN}, _source={"excludes": ["v"]})
    check_existing_field(kept, "v", "doc_values")
    with pytest.raises(MappingError, match="expected a `_source` that keeps v"):
        check_existing_field(kept, "v", "source")


def test_settings_are_checked_by_what_their_field_is() -> None:
    both = index({"v": KNN, "rerank": {"properties": {"vector": {"type": "binary", "doc_values": True}}}})
    assert check_settings(both, RerankSettings("m", ("t",), field="v", vectors="source"))
    assert check_settings(both, RerankSettings("m", ("t",)))
    with pytest.raises(MappingError, match="expected the field v to be free"):
        check_settings(both, RerankSettings("m", ("t",), field="v"))
    with pytest.raises(MappingError, match="found binary"):
        check_settings(both, RerankSettings("m", ("t",), field="rerank.vector", vectors="source"))
