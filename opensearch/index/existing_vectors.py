"""A `knn_vector` field of an index's own: whether its vectors can be read, and which text they are of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opensearch.errors import MappingError
from opensearch.index.field_path import walk_to_field
from opensearch.index.kept_source import KeptSource
from opensearch.index.metadata import Index

KNN_VECTOR = "knn_vector"
SEMANTIC = "semantic"


@dataclass(frozen=True)
class ExistingField:
    """A field that holds vectors already.

    `dim` is None if the mapping names a trained model in its place. `text_field` is the field whose text
    OpenSearch itself encodes, for the embedding of a `semantic` field; None for others.
    """

    name: str
    dim: int | None
    text_field: str | None = None


def find_existing_field(index: Index, name: str) -> ExistingField:
    """Return the field of that name; for a `semantic` field, the one that holds its embedding.

    Raises:
        MappingError: there is no such field, or its vectors cannot be read: bytes, or in nested objects.
    """
    field = _find_field(index, name)
    if field.get("type") == SEMANTIC:
        embedding = _name_embedding(name, field)
        return ExistingField(embedding, _read_dim(index, embedding, _find_field(index, embedding)), name)
    return ExistingField(name, _read_dim(index, name, field), _find_semantic(index, name))


def check_existing_field(index: Index, name: str, vectors: str) -> None:
    """Check that the vectors of a field can still be read as the setting `vectors` says.

    Raises:
        MappingError: as `find_existing_field`, or `_source` does not keep the field.
    """
    _read_dim(index, name, _find_field(index, name))
    kept = KeptSource.from_mapping(index.mapping)
    if vectors == "source" and not kept.keeps(name):
        raise MappingError(
            f"{index.name}: expected a `_source` that keeps {name}, found {kept.dropped_by}. From OpenSearch"
            " 3.7 on vectors are read from doc values (`vectors: doc_values`); before, index the documents"
            " again into an index that keeps the field"
        )


def _find_field(index: Index, name: str) -> Mapping[str, Any]:
    path = walk_to_field(index.mapping, name)
    if not path:
        raise MappingError(
            f"{index.name}: expected a `{KNN_VECTOR}` field {name}, found none."
            f" Fields of that type: {', '.join(_list_vector_fields(index.mapping)) or 'none'}"
        )
    if any(parent.get("type") == "nested" for parent in path[:-1]):
        raise MappingError(
            f"{index.name}: expected one vector for each document, found {name} in nested objects, which"
            " hold one for each passage. Let Twinrank make its own vectors, which hold the passages of a"
            " document together: twinrank enable without --vectors-from"
        )
    return path[-1]


def _read_dim(index: Index, name: str, field: Mapping[str, Any]) -> int | None:
    """Return a vector field's dimension."""
    kind, data_type = field.get("type", "object"), field.get("data_type", "float")
    if kind != KNN_VECTOR:
        raise MappingError(
            f"{index.name}: expected {name} to be a `{KNN_VECTOR}` or a `{SEMANTIC}` field, found {kind}."
            f" Fields with vectors: {', '.join(_list_vector_fields(index.mapping)) or 'none'}"
        )
    if data_type != "float":
        raise MappingError(
            f"{index.name}: expected {name} to hold float vectors, found `data_type: {data_type}`, whose"
            " values say too little. Let Twinrank make its own vectors: twinrank enable without"
            " --vectors-from"
        )
    return int(field["dimension"]) if "dimension" in field else None


def _name_embedding(name: str, field: Mapping[str, Any]) -> str:
    """Return the name of the field that holds the embedding of a `semantic` field."""
    parent, dot, last = name.rpartition(".")
    info = field.get("semantic_info_field_name", f"{last}_semantic_info")
    place = f"{parent}{dot}{info}"
    return f"{place}.chunks.embedding" if field.get("chunking") else f"{place}.embedding"


def _find_semantic(index: Index, embedding: str) -> str | None:
    """Return the `semantic` field whose embedding a field is, None if it is none's."""
    found = (
        name
        for name, field in _iterate_fields(index.mapping)
        if field.get("type") == SEMANTIC and _name_embedding(name, field) == embedding
    )
    return next(found, None)


def _list_vector_fields(mapping: Mapping[str, Any]) -> list[str]:
    kinds = (KNN_VECTOR, SEMANTIC)
    return [name for name, field in _iterate_fields(mapping) if field.get("type") in kinds]


def _iterate_fields(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every field by its dotted name, those of objects first."""
    for key, field in node.get("properties", {}).items():
        yield from _iterate_fields(field, f"{prefix}{key}.")
        yield f"{prefix}{key}", field
