"""The plan of an update: one merged write under a lock, or a write that takes the vector away.

`plan_update` -> a script, a partial document that leaves text and vector alone, one that decides the whole
text, or one that is merged with what is stored.
"""

from typing import Any

from indexer.document import Document
from indexer.write_plan import Check, Fresh, Plan, Sent, Situation, Text, line_of
from opensearch import vectors
from opensearch.update_body import UpdateBody, determines, merged, touches
from opensearch.write_operation import Lock, Operation


def plan_update(operation: Operation, body: UpdateBody, situation: Situation) -> Plan:
    """Plan an `update`.

    Raises:
        JsonObjectError, DocumentError: the body or a part of it cannot be read, or holds something else where
            the vector belongs.
    """
    settings, doc = situation.settings, body.value("doc")
    runs_pipeline = situation.target.runs_pipeline(operation)
    if body.has_script or doc is None:
        return _scripted(operation, body, situation, runs_pipeline=runs_pipeline)
    if not touches(doc, (*settings.source_fields, settings.field)):
        return _aside(operation, body, situation, runs_pipeline=runs_pipeline)
    if runs_pipeline:
        return _by_pipeline(operation, body, situation, doc)
    if determines(doc, settings.source_fields):
        return _determined(operation, body, situation, doc)
    return _merged(operation, body, situation, doc)


def _scripted(operation: Operation, body: UpdateBody, situation: Situation, *, runs_pipeline: bool) -> Plan:
    """A script may do anything: what it did is looked at afterwards. Only an upsert is known before."""
    upsert = body.value("upsert")
    if upsert is None or runs_pipeline or body.is_set("scripted_upsert"):
        return Plan.as_it_came(operation, Check.ALWAYS)
    text = situation.text(upsert, situation.own(upsert))

    def finish(fresh: Fresh) -> Sent:
        return Sent(
            _body_line(_with_vector(body, "upsert", text.vector(fresh), situation)), None, Check.ALWAYS
        )

    return Plan(operation, (text,), finish)


def _aside(operation: Operation, body: UpdateBody, situation: Situation, *, runs_pipeline: bool) -> Plan:
    """Text and vector stay as they are, or both come from the upsert."""
    upsert = body.value("upsert")
    if upsert is None or runs_pipeline:
        return Plan.as_it_came(operation, Check.ALWAYS if runs_pipeline else Check.NEVER)
    text = situation.text(upsert, situation.own(upsert))
    return Plan(
        operation, (text,),
        lambda fresh: Sent(_body_line(_with_vector(body, "upsert", text.vector(fresh), situation))),
    )  # fmt: skip


def _by_pipeline(operation: Operation, body: UpdateBody, situation: Situation, doc: dict[str, Any]) -> Plan:
    """The pipeline may change the text: no vector goes in; one that changes nothing stays that."""
    stored = situation.stored
    before = None if stored is None or situation.is_repeated else stored.source
    # text and vector were read, nothing else: a partial document with more is never equal
    if before is not None and merged(before, doc) == before:
        return Plan.as_it_came(operation, Check.ALWAYS)
    return Plan(operation, (), lambda fresh: Sent(_body_line(_without(body, situation)), None, Check.ALWAYS))


def _determined(operation: Operation, body: UpdateBody, situation: Situation, doc: dict[str, Any]) -> Plan:
    """The new text is known whatever is stored, so text and vector need no lock to fit each other."""
    stored = situation.stored
    held = None if stored is None else stored.packed(situation.settings.field)
    text = situation.text(doc, situation.own(doc), held)
    check = Check.IF_CREATED if body.value("upsert") is not None else Check.NEVER

    def finish(fresh: Fresh) -> Sent:
        packed = text.vector(fresh)
        if packed is not None:
            return Sent(_body_line(_with_vector(body, "doc", packed, situation, other="upsert")), None, check)
        unchanged = _without_text_before_and_after(situation, text, doc)
        if unchanged is not None and body.value("upsert") is None and not body.is_set("doc_as_upsert"):
            return Sent(operation.source, unchanged)
        return Sent(_body_line(_without(body, situation)), None, Check.ALWAYS if text.text else check)

    return Plan(operation, (text,), finish)


def _without_text_before_and_after(situation: Situation, text: Text, doc: dict[str, Any]) -> Lock | None:
    """Return the lock under which a document without a vector stays without one, untouched."""
    stored = situation.stored
    if (
        text.text
        or stored is None
        or stored.source is None
        or situation.is_repeated
        or not situation.may_lock
    ):
        return None
    field = situation.settings.field
    is_bare = vectors.value_at(stored.source, field) is None and not touches(doc, (field,))
    return stored.lock if is_bare else None


def _merged(operation: Operation, body: UpdateBody, situation: Situation, doc: dict[str, Any]) -> Plan:
    """One write of document and vector, under the lock of what it was merged with."""
    stored = situation.stored
    if stored is not None and stored.source is None:
        return _onto_nothing(operation, body, situation, doc)
    own = operation.lock
    if (
        stored is None or stored.source is None or situation.is_repeated
        or (own is None and not situation.may_lock) or (own is not None and own != stored.lock)
    ):  # fmt: skip
        return _taken_away(operation, body, situation)
    field, lock = situation.settings.field, None if own else stored.lock
    after = merged(stored.source, doc)
    text = situation.text(after, situation.own(after), stored.packed(field))

    def finish(fresh: Fresh) -> Sent:
        packed = text.vector(fresh)
        if packed == situation.own(after) and (packed or not text.text):  # nothing to add: a noop stays one
            return Sent(_unless_upserting(operation, body), lock)
        bare = body.without_parts("upsert", "doc_as_upsert")
        if packed is None:
            return Sent(
                _body_line(_without(bare, situation)), lock, Check.ALWAYS if text.text else Check.NEVER
            )
        return Sent(_body_line(_with_vector(bare, "doc", packed, situation)), lock)

    return Plan(operation, (text,), finish)


def _onto_nothing(operation: Operation, body: UpdateBody, situation: Situation, doc: dict[str, Any]) -> Plan:
    """There is no document: the upsert is its first. Should one appear meanwhile, it gets no vector."""
    first = doc if body.is_set("doc_as_upsert") else body.value("upsert")
    if first is None or situation.is_repeated:
        return _taken_away(operation, body, situation)
    text = situation.text(first, situation.own(first))
    source = body.source("doc" if body.is_set("doc_as_upsert") else "upsert")

    def finish(fresh: Fresh) -> Sent:
        bare = _without(body.without_parts("upsert", "doc_as_upsert"), situation)
        whole = bare.with_part("upsert", Document(source).without_vector(situation.settings.field))
        packed = text.vector(fresh)
        if packed is None:
            return Sent(_body_line(whole), None, Check.ALWAYS)
        return Sent(_body_line(_with_vector(whole, "upsert", packed, situation)), None, Check.UNLESS_CREATED)

    return Plan(operation, (text,), finish)


def _taken_away(operation: Operation, body: UpdateBody, situation: Situation) -> Plan:
    return Plan(operation, (), lambda fresh: Sent(_body_line(_without(body, situation)), None, Check.ALWAYS))


def _unless_upserting(operation: Operation, body: UpdateBody) -> bytes | None:
    """Return the client's own bytes; OpenSearch takes no upsert under a lock, and the document is there."""
    bare = body.without_parts("upsert", "doc_as_upsert")
    return operation.source if bare is body else _body_line(bare)


def _without(body: UpdateBody, situation: Situation) -> UpdateBody:
    """Return a body that takes the vector away, and brings none with an upsert."""
    field = situation.settings.field
    bare = body.with_part("doc", _alone(Document(body.source("doc")).with_null(field), "doc", situation))
    if body.value("upsert") is None:
        return bare
    upsert = Document(body.source("upsert")).without_vector(field)
    return bare.with_part("upsert", _alone(upsert, "upsert", situation))


def _with_vector(
    body: UpdateBody, part: str, packed: bytes | None, situation: Situation, other: str = ""
) -> UpdateBody:
    """Return a body whose part carries that vector, or none; the other part, if there, carries none."""
    field = situation.settings.field
    document = Document(body.source(part))
    source = (
        document.without_vector(field) if packed is None
        else document.with_vector(field, vectors.encoded(packed))
    )  # fmt: skip
    with_part = body.with_part(part, _alone(source, part, situation))
    if not other or body.value(other) is None:
        return with_part
    bare = Document(body.source(other)).without_vector(field)
    return with_part.with_part(other, _alone(bare, other, situation))


def _alone(source: str, part: str, situation: Situation) -> str:
    """Return a part without the other model's vector during a change of model: it is sync's to make anew."""
    for field in situation.settings.fields[1:]:
        document = Document(source)
        source = document.with_null(field) if part == "doc" else document.without_vector(field)
    return source


def _body_line(body: UpdateBody) -> bytes:
    return line_of(body.text)
