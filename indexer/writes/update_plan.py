"""The plan of an update: one merged write under a lock, or a write that takes the vector away.

`plan_update` -> a script, a partial document that leaves text and vector alone, one that decides the whole
text, or one that is merged with what is stored.
"""

from collections.abc import Sequence
from typing import Any

from indexer.document import Document
from indexer.writes.plan import Check, Fresh, Plan, Sent, Situation, Text, line_of, vector_in, with_vectors
from opensearch.fields import stored_vectors
from opensearch.writes.operation import Lock, Operation
from opensearch.writes.update import UpdateBody, determines, merged, touches


def plan_update(operation: Operation, body: UpdateBody, situation: Situation) -> Plan:
    """Plan an `update`.

    Raises:
        JsonObjectError, DocumentError: the body or a part of it cannot be read, or holds something else where
            a vector belongs.
    """
    settings, doc = situation.settings, body.value("doc")
    runs_pipeline = situation.target.runs_pipeline(operation)
    if body.has_script or doc is None:
        return _scripted(operation, body, situation, runs_pipeline=runs_pipeline)
    if not touches(doc, (*settings.source_fields, *settings.fields)):
        return _aside(operation, body, situation, runs_pipeline=runs_pipeline)
    if not _writes_for_certain(situation, doc):
        return _left_alone(operation, situation)
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
    texts = situation.texts(upsert, upsert)
    return Plan(
        operation, texts,
        lambda fresh: Sent(_body_line(_with(body, "upsert", texts, fresh)), None, Check.ALWAYS),
    )  # fmt: skip


def _aside(operation: Operation, body: UpdateBody, situation: Situation, *, runs_pipeline: bool) -> Plan:
    """Text and vector stay as they are, or both come from the upsert."""
    upsert = body.value("upsert")
    if upsert is None or runs_pipeline:
        return Plan.as_it_came(operation, Check.ALWAYS if runs_pipeline else Check.NEVER)
    texts = situation.texts(upsert, upsert)
    return Plan(operation, texts, lambda fresh: Sent(_body_line(_with(body, "upsert", texts, fresh))))


def _writes_for_certain(situation: Situation, doc: dict[str, Any]) -> bool:
    """Return whether OpenSearch writes the document in any case, so that what we add to `doc` loses nothing.

    An update that changes nothing is a `noop`. If we made a write of it, the document would be indexed again
    from a `_source` that may lack a field. For an index that keeps every field that is no matter.
    """
    kept, stored = situation.target.kept, situation.stored
    if kept.is_whole or kept.drops(doc):  # what is not kept is never equal to what is stored
        return True
    if stored is None or situation.is_repeated:
        return False
    return stored.source is None or merged(stored.source, doc) != stored.source


def _left_alone(operation: Operation, situation: Situation) -> Plan:
    """As it came; what has been written then may be looked at, unless the vectors are those of the text."""
    stored = situation.stored
    held = {} if stored is None or situation.is_repeated else stored.source or {}
    texts = situation.texts(held, held)
    is_current = bool(held) and all(text.held or not text.text for text in texts)
    return Plan.as_it_came(operation, Check.NEVER if is_current else Check.ALWAYS)


def _by_pipeline(operation: Operation, body: UpdateBody, situation: Situation, doc: dict[str, Any]) -> Plan:
    """The pipeline may change the text: no vector goes in; one that changes nothing stays that."""
    stored = situation.stored
    before = None if stored is None or situation.is_repeated else stored.source
    # text and vector were read, nothing else: a partial document with more is never equal
    if before is not None and merged(before, doc) == before:
        return Plan.as_it_came(operation, Check.ALWAYS)
    return _taken_away(operation, body, situation)


def _determined(operation: Operation, body: UpdateBody, situation: Situation, doc: dict[str, Any]) -> Plan:
    """The new text is known whatever is stored, so text and vector need no lock to fit each other."""
    stored = situation.stored
    texts = situation.texts(doc, doc, None if stored is None else stored.source)
    creates = body.value("upsert") is not None

    def finish(fresh: Fresh) -> Sent:
        unchanged = _bare_before_and_after(situation, texts, doc)
        if unchanged is not None and not creates and not body.is_set("doc_as_upsert"):
            return Sent(operation.source, unchanged)
        check = situation.check(texts, fresh)
        if check is Check.NEVER and creates:
            check = Check.IF_CREATED
        return Sent(_body_line(_bare_upsert(_with(body, "doc", texts, fresh), situation)), None, check)

    return Plan(operation, texts, finish)


def _bare_before_and_after(situation: Situation, texts: Sequence[Text], doc: dict[str, Any]) -> Lock | None:
    """Return the lock under which a document without text and vectors stays so, untouched."""
    stored = situation.stored
    if (
        texts[0].text
        or stored is None
        or stored.source is None
        or situation.is_repeated
        or not situation.may_lock
    ):
        return None
    fields = situation.settings.fields
    is_bare = all(stored_vectors.value_at(stored.source, field) is None for field in fields)
    return stored.lock if is_bare and not touches(doc, fields) else None


def _merged(operation: Operation, body: UpdateBody, situation: Situation, doc: dict[str, Any]) -> Plan:
    """One write of document and vectors, under the lock of what it was merged with."""
    stored = situation.stored
    if stored is not None and stored.source is None:
        return _onto_nothing(operation, body, situation, doc)
    own = operation.lock
    if (
        stored is None or stored.source is None or situation.is_repeated
        or (own is None and not situation.may_lock) or (own is not None and own != stored.lock)
    ):  # fmt: skip
        return _taken_away(operation, body, situation)
    lock = None if own else stored.lock
    after = merged(stored.source, doc)
    texts = situation.texts(after, after, stored.source)

    def finish(fresh: Fresh) -> Sent:
        check = situation.check(texts, fresh)
        fits = all(text.vector(fresh) == vector_in(after, text.field) for text in texts)
        if fits and check is Check.NEVER:  # nothing to add: a noop stays one
            return Sent(_unless_upserting(operation, body), lock)
        bare = body.without_parts("upsert", "doc_as_upsert")
        return Sent(_body_line(_with(bare, "doc", texts, fresh)), lock, check)

    return Plan(operation, texts, finish)


def _onto_nothing(operation: Operation, body: UpdateBody, situation: Situation, doc: dict[str, Any]) -> Plan:
    """There is no document: the upsert is its first. Should one appear meanwhile, it gets no vector."""
    first = doc if body.is_set("doc_as_upsert") else body.value("upsert")
    if first is None or situation.is_repeated:
        return _taken_away(operation, body, situation)
    texts = situation.texts(first, first)
    source = body.source("doc" if body.is_set("doc_as_upsert") else "upsert")

    def finish(fresh: Fresh) -> Sent:
        bare = _without(body.without_parts("upsert", "doc_as_upsert"), situation)
        whole = bare.with_part("upsert", with_vectors(source, texts, fresh))
        has_none = texts[0].vector(fresh) is None
        return Sent(_body_line(whole), None, Check.ALWAYS if has_none else Check.UNLESS_CREATED)

    return Plan(operation, texts, finish)


def _taken_away(operation: Operation, body: UpdateBody, situation: Situation) -> Plan:
    return Plan(operation, (), lambda fresh: Sent(_body_line(_without(body, situation)), None, Check.ALWAYS))


def _unless_upserting(operation: Operation, body: UpdateBody) -> bytes | None:
    """Return the client's own bytes; OpenSearch takes no upsert under a lock, and the document is there."""
    bare = body.without_parts("upsert", "doc_as_upsert")
    return operation.source if bare is body else _body_line(bare)


def _with(body: UpdateBody, part: str, texts: Sequence[Text], fresh: Fresh) -> UpdateBody:
    """Return a body whose part carries the vectors of its texts, and drops those that could not be made."""
    return body.with_part(part, with_vectors(body.source(part), texts, fresh, drops=part == "doc"))


def _without(body: UpdateBody, situation: Situation) -> UpdateBody:
    """Return a body that takes the vectors away, and brings none with an upsert."""
    doc = body.source("doc")
    for field in reversed(situation.settings.fields):
        doc = Document(doc).with_null(field)
    return _bare_upsert(body.with_part("doc", doc), situation)


def _bare_upsert(body: UpdateBody, situation: Situation) -> UpdateBody:
    """Return a body whose upsert, if it has one, brings no vector."""
    if body.value("upsert") is None:
        return body
    upsert = body.source("upsert")
    for field in reversed(situation.settings.fields):
        upsert = Document(upsert).without_vector(field)
    return body.with_part("upsert", upsert)


def _body_line(body: UpdateBody) -> bytes:
    return line_of(body.text)
