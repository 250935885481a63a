"""A write from its arrival to its response: what is sent before, with and without a plan."""

import json

from indexer.writes.index_plan import plan_index
from indexer.writes.pending import PendingWrite
from indexer.writes.plan import OutgoingWrite, RecheckPolicy, VectorInsertion
from opensearch.settings.table import RerankSettings
from opensearch.writes.operation import Lock, Operation
from opensearch.writes.target import WriteTarget

SETTINGS = RerankSettings(model="m", source_fields=("text",))
SOURCE = b'{"text": "a"}\n'


def pending(
    action: str = "index", source: bytes = SOURCE, pipeline: str = "_none", retries: int | None = 2
) -> PendingWrite:
    rule = {} if retries is None else {"retry_on_conflict": retries}
    line = json.dumps({action: {"_index": "i", "_id": "1", **rule}}).encode() + b"\n"
    operation = Operation(action, {"_index": "i", "_id": "1"}, line, source)
    return PendingWrite(operation, WriteTarget("i", SETTINGS, default_pipeline=pipeline), {"m": 7})


def test_a_write_without_a_plan_is_sent_as_it_came_and_rechecked() -> None:
    write = pending()
    write.build({})
    assert write.outgoing == OutgoingWrite(SOURCE, None, RecheckPolicy.ALWAYS)
    assert write.encode() == (write.operation.line, SOURCE)
    assert write.texts == ()


def test_retries_are_for_updates_without_a_lock() -> None:
    write = pending("update", b'{"doc": {"text": "b"}}\n', retries=None)
    assert b"retry_on_conflict" not in write.encode()[0]
    assert b'"retry_on_conflict": 3' in write.encode(3)[0]
    write.outgoing = OutgoingWrite(write.operation.source, Lock(4, 2))
    assert b"retry_on_conflict" not in write.encode(3)[0]


def test_a_plan_is_data_and_may_be_built_twice() -> None:
    write = pending()
    write.plan = plan_index(write, SOURCE.decode())
    assert isinstance(write.plan, VectorInsertion)
    [text] = write.texts
    write.build({text.key: b"packed"})
    with_vector = write.outgoing
    assert json.loads(with_vector.source or b"") == {"text": "a", "rerank": {"vector": "cGFja2Vk"}}
    assert with_vector.recheck is RecheckPolicy.NEVER
    write.build(None)  # the body must not grow
    without = write.outgoing
    assert json.loads(without.source or b"") == {"text": "a"}
    assert without.recheck is RecheckPolicy.ALWAYS


def test_a_pipeline_gets_a_document_without_a_vector() -> None:
    source = '{"text": "a", "rerank": {"vector": "old"}}'
    write = pending(source=source.encode(), pipeline="p")
    write.plan = plan_index(write, source)
    write.build({})
    assert write.outgoing == OutgoingWrite(b'{"text": "a"}\n', None, RecheckPolicy.ALWAYS)


def test_only_the_proxys_own_lock_is_lost() -> None:
    write = pending("update", b'{"doc": {"text": "b"}, "upsert": {}}\n')
    assert not write.has_lost_lock(409), "the client's own conflict"
    write.outgoing = OutgoingWrite(write.operation.source, Lock(4, 2))
    assert [write.has_lost_lock(status) for status in (409, 404, 400, 200)] == [True, True, False, False]
    plain = pending("update", b'{"doc": {"text": "b"}}\n')
    plain.outgoing = OutgoingWrite(plain.operation.source, Lock(4, 2))
    assert not plain.has_lost_lock(404), "without an upsert the document is missing for the client too"


def test_the_outgoing_write_stays_without_its_plan() -> None:
    write = pending()
    write.plan = plan_index(write, SOURCE.decode())
    write.build({})
    sent = write.outgoing
    write.drop_plan()
    assert (write.outgoing, write.texts, write.stored) == (sent, (), None)
