"""The body of an index with settings."""

from typing import Any

META = {"rerank": {"model": "m", "source_fields": ["text"]}}


FIELD = {"rerank": {"properties": {"vector": {"type": "binary", "doc_values": True}}}}


def body(**more: Any) -> dict[str, Any]:  # noqa: ANN401  # any part of an index body
    return {"mappings": {"_meta": META, "properties": FIELD}, **more}
