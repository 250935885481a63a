"""What is sent for an update: every rule of docs/how-to/ingest.md, without a server."""

import base64
import json
from typing import Any

import msgspec
import numpy as np
import pytest

from indexer.writes.pending import PendingWrite
from indexer.writes.plan import OutgoingWrite, RecheckPolicy
from indexer.writes.texts import EncodedVectors
from indexer.writes.update_plan import plan_update
from opensearch.settings.table import MigrationSettings, RerankSettings
from opensearch.writes.documents import ABSENT, StoredDocument
from opensearch.writes.operation import Lock, Operation
from opensearch.writes.target import WriteTarget
from opensearch.writes.update import UpdateBody, merge
from reranker.stored_vector import pack
from reranker.text import Chunking, text_hash

SETTINGS = RerankSettings(model="m", source_fields=("title", "text"))
TAG = 7
AT = Lock(11, 2)


def packed(text: str, tag: int = TAG) -> bytes:
    hashed = text_hash(text, Chunking())
    return pack(np.array([[1.0, 0.0]], np.float32), text_hash=hashed, model_tag=tag)


def vector(text: str, tag: int = TAG) -> dict[str, Any]:
    return {"rerank": {"vector": base64.b64encode(packed(text, tag)).decode()}}


def plan(body: dict[str, Any], stored: StoredDocument | None, **more: Any) -> PendingWrite:  # noqa: ANN401
    parameters = more.pop("parameters", {})
    target = WriteTarget("i", SETTINGS, default_pipeline=more.pop("pipeline", "_none"))
    known: dict[str, Any] = {"tags": {"m": TAG}} | more
    raw = json.dumps(body).encode() + b"\n"
    operation = Operation("update", {"_index": "i", "_id": "1", **parameters}, b"", raw)
    update = UpdateBody.parse(raw)
    pending = PendingWrite(operation, target, body=update, stored=stored, **known)
    pending.plan = plan_update(pending, update)
    return pending


def build(pending: PendingWrite, vectors: EncodedVectors | None) -> OutgoingWrite:
    pending.build(vectors)
    return pending.outgoing


def sent(pending: PendingWrite) -> tuple[dict[str, Any], Lock | None, RecheckPolicy]:
    texts = (text for text in pending.texts if text.text)
    result = build(pending, {text.key: packed(text.text, _TAGS[text.model]) for text in texts})
    return json.loads(result.source or b"{}"), result.lock, result.recheck


_TAGS = {"m": TAG, "other": 8}

BEFORE = StoredDocument({"title": "a", "text": "b", **vector("a\nb")}, AT)
NULL = {"rerank": {"vector": None}}


def test_a_partial_text_is_merged_under_a_lock() -> None:
    made = plan({"doc": {"text": "new", "n": 1}}, BEFORE)
    assert [text.text for text in made.texts] == ["a\nnew"]
    assert sent(made) == ({"doc": {"text": "new", "n": 1, **vector("a\nnew")}}, AT, RecheckPolicy.NEVER)


def test_a_whole_text_needs_no_lock() -> None:
    doc = {"title": "x", "text": ["y", "z"]}
    for stored in (BEFORE, ABSENT, None):
        assert sent(plan({"doc": doc}, stored)) == (
            {"doc": doc | vector("x\ny\nz")},
            None,
            RecheckPolicy.NEVER,
        )


def test_the_same_text_goes_as_it_came_under_a_lock() -> None:
    assert sent(plan({"doc": {"text": "b"}}, BEFORE)) == ({"doc": {"text": "b"}}, AT, RecheckPolicy.NEVER)


def test_the_same_text_with_an_old_vector_gets_the_new_one() -> None:
    stored = StoredDocument({"title": "a", "text": "b", **vector("a\nb", tag=8)}, AT)
    assert sent(plan({"doc": {"text": "b"}}, stored)) == (
        {"doc": {"text": "b", **vector("a\nb")}},
        AT,
        RecheckPolicy.NEVER,
    )


def test_a_text_that_goes_takes_its_vector_along() -> None:
    stored = StoredDocument({"text": "b", **vector("b")}, AT)
    assert sent(plan({"doc": {"text": None}}, stored)) == (
        {"doc": {"text": None, **NULL}},
        AT,
        RecheckPolicy.NEVER,
    )


@pytest.mark.parametrize(("stored", "more"), [
    (None, {}),
    (BEFORE, {"is_repeated": True}),
    (BEFORE, {"may_lock": False}),
    (BEFORE, {"parameters": {"if_seq_no": 1, "if_primary_term": 2}}),
    (BEFORE, {"pipeline": "p"}),
], ids=["unknown", "repeated", "no lock", "lock of the client's elsewhere", "pipeline"])  # fmt: skip
def test_where_the_text_cannot_be_known_the_vector_goes(
    stored: StoredDocument | None, more: dict[str, Any]
) -> None:
    made = plan({"doc": {"text": "new"}}, stored, **more)
    assert sent(made) == ({"doc": {"text": "new", **NULL}}, None, RecheckPolicy.ALWAYS)


def test_the_clients_lock_is_enough_where_it_fits() -> None:
    own = {"if_seq_no": 11, "if_primary_term": 2}
    made = plan({"doc": {"text": "new"}}, BEFORE, parameters=own)
    assert sent(made) == ({"doc": {"text": "new", **vector("a\nnew")}}, None, RecheckPolicy.NEVER)


def test_a_document_without_text_is_locked_unless_the_client_locks_it() -> None:
    stored, doc = StoredDocument({"n": 1}, AT), {"title": "", "text": None}
    assert sent(plan({"doc": doc}, stored))[1] == AT
    for seq_no in (1, AT.seq_no):
        own = {"if_seq_no": seq_no, "if_primary_term": AT.primary_term}
        assert sent(plan({"doc": doc}, stored, parameters=own))[1] is None


def test_an_update_that_leaves_the_text_alone() -> None:
    assert sent(plan({"doc": {"n": 1}}, None)) == ({"doc": {"n": 1}}, None, RecheckPolicy.NEVER)


def test_a_vector_of_the_clients_is_kept_only_if_current() -> None:
    doc = {"title": "x", "text": "y"}
    good = doc | vector("x\ny")
    assert sent(plan({"doc": good}, ABSENT))[0] == {"doc": good}
    assert sent(plan({"doc": doc | vector("other")}, ABSENT))[0] == {"doc": good}
    assert sent(plan({"doc": vector("other")}, BEFORE))[0] == {"doc": vector("a\nb")}


def test_an_upsert_onto_nothing() -> None:
    made = plan({"doc": {"text": "d"}, "upsert": {"text": "u"}}, ABSENT)
    assert sent(made) == (
        {"doc": {"text": "d", **NULL}, "upsert": {"text": "u", **vector("u")}},
        None,
        RecheckPolicy.UNLESS_CREATED,
    )
    made = plan({"doc": {"text": "d"}, "doc_as_upsert": True}, ABSENT)
    assert sent(made) == (
        {"doc": {"text": "d", **NULL}, "upsert": {"text": "d", **vector("d")}},
        None,
        RecheckPolicy.UNLESS_CREATED,
    )


def test_an_upsert_without_text_is_rechecked_only_if_it_met_a_document() -> None:
    made = plan({"doc": {"text": "d"}, "upsert": {"n": 1}}, ABSENT)
    assert sent(made) == (
        {"doc": {"text": "d", **NULL}, "upsert": {"n": 1}},
        None,
        RecheckPolicy.UNLESS_CREATED,
    )
    late = plan({"doc": {"text": "d"}, "upsert": {"text": "u"}}, ABSENT)
    assert build(late, {}).recheck is RecheckPolicy.ALWAYS, "its vector could not be made"


def test_an_upsert_onto_a_document_is_none_under_the_lock() -> None:
    made = plan({"doc": {"text": "d"}, "upsert": {"text": "u"}}, BEFORE)
    assert sent(made) == ({"doc": {"text": "d", **vector("a\nd")}}, AT, RecheckPolicy.NEVER)


def test_a_script_is_looked_at_afterwards() -> None:
    body: dict[str, Any] = {"script": "ctx._source.text = 'x'", "upsert": {"text": "u"}}
    assert sent(plan(body, None)) == (
        body | {"upsert": {"text": "u", **vector("u")}},
        None,
        RecheckPolicy.ALWAYS,
    )
    body["scripted_upsert"] = True
    assert sent(plan(body, None)) == (body, None, RecheckPolicy.ALWAYS)


def test_a_pipeline_and_nothing_new_stays_a_noop() -> None:
    assert sent(plan({"doc": {"text": "b"}}, BEFORE, pipeline="p")) == (
        {"doc": {"text": "b"}},
        None,
        RecheckPolicy.ALWAYS,
    )


def test_a_text_that_cannot_be_encoded_is_written_without_a_vector() -> None:
    made = plan({"doc": {"text": "new"}}, BEFORE)
    result = build(made, {text.key: None for text in made.texts})
    assert (json.loads(result.source or b""), result.lock) == ({"doc": {"text": "new", **NULL}}, AT)


def test_no_room_for_vectors() -> None:
    result = build(plan({"doc": {"title": "x", "text": "y"}}, BEFORE), None)
    assert json.loads(result.source or b"") == {"doc": {"title": "x", "text": "y", **NULL}}
    assert result.recheck is RecheckPolicy.ALWAYS


def test_another_models_vector_is_judged_by_its_text() -> None:
    stored = StoredDocument({"title": "a", "text": "b", **vector("a\nb", tag=99)}, AT)
    kept = plan({"doc": {"text": "b"}}, stored, tags={})
    assert json.loads(build(kept, {}).source or b"") == {"doc": {"text": "b"}}
    gone = plan({"doc": {"text": "new"}}, stored, tags={})
    assert json.loads(build(gone, {}).source or b"") == {"doc": {"text": "new", **NULL}}


@pytest.fixture
def migrating(monkeypatch: pytest.MonkeyPatch) -> None:
    migration = MigrationSettings("other", "second.vector")
    monkeypatch.setitem(globals(), "SETTINGS", msgspec.structs.replace(SETTINGS, migration=migration))


def second(text: str) -> dict[str, Any]:
    return {"second": {"vector": vector(text, _TAGS["other"])["rerank"]["vector"]}}


GONE = {"second": {"vector": None}}
BOTH = StoredDocument({"title": "a", "text": "b", **vector("a\nb"), **second("a\nb")}, AT)


@pytest.mark.usefixtures("migrating")
def test_a_new_text_takes_the_vector_of_a_second_model_along() -> None:
    made = build(plan({"doc": {"text": "new"}}, BEFORE), {("m", key("a\nnew")): packed("a\nnew")})
    assert json.loads(made.source or b"") == {"doc": {"text": "new", **GONE, **vector("a\nnew")}}
    assert made.recheck is RecheckPolicy.NEVER
    assert sent(plan({"doc": {"text": "new"}}, None))[0] == {"doc": {"text": "new", **GONE, **NULL}}
    assert sent(plan({"doc": {"n": 1}}, BEFORE))[0] == {"doc": {"n": 1}}


def key(text: str) -> int:
    return text_hash(text, Chunking())


@pytest.mark.usefixtures("migrating")
def test_both_models_at_hand_write_both_vectors() -> None:
    for stored in (BOTH, BEFORE):
        made = plan({"doc": {"text": "new"}}, stored, tags=_TAGS)
        assert sent(made)[0] == {"doc": {"text": "new", **second("a\nnew"), **vector("a\nnew")}}
    whole = {"title": "x", "text": "y"}
    made = plan({"doc": whole, "upsert": {"n": 1, **second("z")}}, BOTH, tags=_TAGS)
    body = {"doc": {**whole, **second("x\ny"), **vector("x\ny")}, "upsert": {"n": 1}}
    assert sent(made) == (body, None, RecheckPolicy.IF_CREATED)


@pytest.mark.usefixtures("migrating")
def test_the_same_text_keeps_both_and_stays_a_noop() -> None:
    assert sent(plan({"doc": {"text": "b"}}, BOTH, tags=_TAGS)) == (
        {"doc": {"text": "b"}},
        AT,
        RecheckPolicy.NEVER,
    )
    whole = {"title": "a", "text": "b"}
    kept = {"doc": whole | second("a\nb") | vector("a\nb")}  # equal to what is stored: a noop
    assert json.loads(build(plan({"doc": whole}, BOTH, tags=_TAGS), {}).source or b"") == kept


@pytest.mark.usefixtures("migrating")
def test_the_second_model_alone_at_hand_writes_its_own_and_guards_the_first() -> None:
    made = plan({"doc": {"text": "new"}}, BOTH, tags={"other": 8})
    result = build(made, {("other", key("a\nnew")): packed("a\nnew", 8)})
    assert json.loads(result.source or b"") == {"doc": {"text": "new", **second("a\nnew"), **NULL}}
    assert result.recheck is RecheckPolicy.NEVER


@pytest.mark.usefixtures("migrating")
def test_a_vector_of_the_other_model_is_none_in_a_field() -> None:
    """However it came there: each field holds its own model's vectors only."""
    swapped = {**vector("a\nb", 8), "second": {"vector": vector("a\nb")["rerank"]["vector"]}}
    stored = StoredDocument({"title": "a", "text": "b", **swapped}, AT)
    assert sent(plan({"doc": {"text": "b"}}, stored, tags=_TAGS))[0] == {
        "doc": {"text": "b", **second("a\nb"), **vector("a\nb")}
    }


def test_where_reranking_is_off_nothing_is_made_and_a_stale_vector_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(globals(), "SETTINGS", msgspec.structs.replace(SETTINGS, enabled=False))
    result = build(plan({"doc": {"text": "new"}}, BEFORE), {})
    assert (json.loads(result.source or b""), result.recheck) == (
        {"doc": {"text": "new", **NULL}},
        RecheckPolicy.NEVER,
    )
    kept = build(plan({"doc": {"text": "b"}}, BEFORE), {})
    assert (json.loads(kept.source or b""), kept.recheck) == ({"doc": {"text": "b"}}, RecheckPolicy.NEVER)
    bare = StoredDocument({"title": "a", "text": "b"}, AT)
    assert json.loads(build(plan({"doc": {"text": "b"}}, bare), {}).source or b"") == {"doc": {"text": "b"}}


@pytest.mark.parametrize(("source", "changes", "result"), [
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
    ({"a": {"b": 1}}, {"a": None}, {"a": None}),
    ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
    ({"a.b": 1}, {"a": {"b": 2}}, {"a.b": 1, "a": {"b": 2}}),
])  # fmt: skip
def test_documents_are_merged_as_opensearch_does(
    source: dict[str, Any], changes: dict[str, Any], result: dict[str, Any]
) -> None:
    assert merge(source, changes) == result
