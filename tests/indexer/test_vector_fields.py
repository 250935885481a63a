"""Several vector fields of one document: filled, guarded, emptied."""

import base64
import json

import msgspec
import numpy as np
import pytest

from indexer.document import Document
from indexer.enricher import Outcome, hash_of
from indexer.errors import DocumentError
from indexer.vector_fields import Clear, CombinedPolicy, KeepCurrent
from opensearch.settings.table import MigrationSettings, RerankSettings
from reranker.stored_vector import pack

SETTINGS = RerankSettings(
    model="old", source_fields=("text",), migration=MigrationSettings("new", "rerank.vector_2")
)
SECOND = SETTINGS.second


def vector_for(text: str) -> str:
    hashed = hash_of(Document(json.dumps({"text": text})), SETTINGS)
    return base64.b64encode(pack(np.ones((1, 2), np.float32), text_hash=hashed, model_tag=1)).decode()


def document(text: str, **vectors: str) -> Document:
    return Document(json.dumps({"text": text, "rerank": vectors}))


def test_a_guard_keeps_a_vector_of_this_text_and_no_other() -> None:
    assert SECOND is not None
    policy = KeepCurrent(SECOND)
    kept = document("a", vector="x", vector_2=vector_for("a"))
    stale = document("b", vector="x", vector_2=vector_for("a"))
    emptied = document(" ", vector_2=vector_for(" "))
    seen = policy([kept, stale, emptied], {})
    assert [one.outcome for one in seen] == [Outcome.REUSED, Outcome.NO_TEXT, Outcome.NO_TEXT]
    assert seen[0].source.decode() == kept.source
    assert [json.loads(one.source) for one in seen[1:]] == [
        {"text": "b", "rerank": {"vector": "x"}},
        {"text": " "},
    ]


def test_several_work_one_after_another() -> None:
    assert SECOND is not None
    policy = CombinedPolicy(Clear("rerank.vector"), KeepCurrent(SECOND))
    [seen] = policy([document("b", vector="x", vector_2=vector_for("a"), vector_3="z")], {})
    assert json.loads(seen.source) == {"text": "b", "rerank": {"vector_3": "z"}}
    assert (policy.field, policy.name) == ("rerank.vector", "empty+guard")
    with pytest.raises(DocumentError, match="expected an object"):
        policy.check(Document('{"rerank": "taken"}'))


def test_settings_seen_from_either_side() -> None:
    assert SECOND is not None
    assert (SECOND.model, SECOND.field) == ("new", "rerank.vector_2")
    assert SECOND.second == SETTINGS
    assert SETTINGS.fields == ("rerank.vector", "rerank.vector_2")
    assert SETTINGS.for_model("old") is SETTINGS
    assert SETTINGS.for_model("new") is None, "it is not filled yet"
    over = msgspec.structs.replace(SECOND, migration=msgspec.structs.replace(SECOND.migration, cut_over=True))
    both = over.for_model("new"), over.for_model("old"), over.for_model("third")
    assert [each and each.field for each in both] == ["rerank.vector_2", "rerank.vector", None]
