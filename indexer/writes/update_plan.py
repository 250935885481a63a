"""The plan of an update: one merged write under a lock, or a write that drops the vectors.

`plan_update` tells apart a script and three partial documents: one that leaves text and vectors alone, one
that holds the whole text, and one that is merged with the stored document.
"""

from collections.abc import Sequence
from typing import Any

from indexer.document import Document
from indexer.writes.pending import PendingWrite
from indexer.writes.plan import (
    OutgoingWrite,
    RecheckPolicy,
    UnchangedSource,
    VectorInsertion,
    WritePlan,
    encode_line,
)
from indexer.writes.texts import Text, read_vector
from opensearch.fields import stored_vectors
from opensearch.writes.operation import Lock
from opensearch.writes.update import UpdateBody, determines, merge, touches


def plan_update(pending: PendingWrite, body: UpdateBody) -> WritePlan:
    """Plan an `update` with that body.

    Raises:
        JsonObjectError, DocumentError: the body or a part of it cannot be read, or holds something else in
            the place of a vector.
    """
    settings, doc = pending.settings, body.value("doc")
    if body.has_script or doc is None:
        return _plan_script(pending, body)
    if not touches(doc, (*settings.source_fields, *settings.fields)):
        return _plan_unrelated(pending, body)
    if not _certainly_writes(pending, doc):
        return _plan_possible_noop(pending)
    if pending.runs_pipeline:
        return _plan_pipeline(pending, body, doc)
    if determines(doc, settings.source_fields):
        return _plan_whole_text(pending, body, doc)
    return _plan_merge(pending, body, doc)


def _plan_script(pending: PendingWrite, body: UpdateBody) -> WritePlan:
    """Plan a recheck, since a script may do anything. Only an upsert is known before."""
    upsert = body.value("upsert")
    if upsert is None or pending.runs_pipeline or body.is_set("scripted_upsert"):
        return pending.as_it_came()
    texts = pending.find_texts(upsert, upsert)
    always = RecheckPolicy.ALWAYS
    return VectorInsertion(body.source("upsert"), texts, body, "upsert", recheck=always)


def _plan_unrelated(pending: PendingWrite, body: UpdateBody) -> WritePlan:
    """Plan an update that leaves text and vectors as they are; an upsert brings both."""
    upsert = body.value("upsert")
    if pending.runs_pipeline:
        return pending.as_it_came()
    never = RecheckPolicy.NEVER
    if upsert is None:
        return pending.as_it_came(never)
    texts = pending.find_texts(upsert, upsert)
    return VectorInsertion(body.source("upsert"), texts, body, "upsert", recheck_if_missing=never)


def _certainly_writes(pending: PendingWrite, doc: dict[str, Any]) -> bool:
    """Return whether OpenSearch writes the document in any case, so that adding to `doc` loses nothing.

    An update that changes nothing is a `noop`. If it became a write, the document would be indexed again
    from a `_source` that may lack a field. For an index that keeps every field that does not matter.
    """
    kept, known = pending.target.kept, pending.known
    if kept.is_whole or kept.drops(doc):  # what is not kept is never equal to what is stored
        return True
    if known is None:
        return False
    return known.source is None or merge(known.source, doc) != known.source


def _plan_possible_noop(pending: PendingWrite) -> WritePlan:
    """Plan the client's own bytes; the document may be rechecked, unless its vectors are current."""
    known = pending.known
    source = {} if known is None else known.source or {}
    texts = pending.find_texts(source, source)
    is_current = bool(source) and all(text.held or not text.text for text in texts)
    return pending.as_it_came(RecheckPolicy.NEVER if is_current else RecheckPolicy.ALWAYS)


def _plan_pipeline(pending: PendingWrite, body: UpdateBody, doc: dict[str, Any]) -> WritePlan:
    """Plan an update whose text a pipeline may change: no vector goes in, and a `noop` stays one."""
    before = None if pending.known is None else pending.known.source
    # text and vector were read, nothing else: a partial document with more is never equal
    if before is not None and merge(before, doc) == before:
        return pending.as_it_came()
    return _plan_without_vectors(pending, body)


def _plan_whole_text(pending: PendingWrite, body: UpdateBody, doc: dict[str, Any]) -> WritePlan:
    """Plan an update whose new text is known whatever is stored: text and vectors need no lock to fit."""
    texts = pending.find_texts(doc, doc, None if pending.stored is None else pending.stored.source)
    creates = body.value("upsert") is not None
    lock = _find_lock_of_bare(pending, texts, doc)
    if lock is not None and not creates and not body.is_set("doc_as_upsert"):
        return OutgoingWrite(pending.operation.source, lock)
    recheck = RecheckPolicy.IF_CREATED if creates else RecheckPolicy.NEVER
    return VectorInsertion(body.source("doc"), texts, _strip_upsert(body, pending), "doc", recheck=recheck)


def _find_lock_of_bare(pending: PendingWrite, texts: Sequence[Text], doc: dict[str, Any]) -> Lock | None:
    """Return the lock under which a document without text and vectors stays so, untouched."""
    known = pending.known
    if texts[0].text or known is None or known.source is None or not pending.may_lock:
        return None
    if pending.operation.lock is not None:  # the client's own holds
        return None
    fields = pending.settings.fields
    is_bare = all(stored_vectors.find_value(known.source, field) is None for field in fields)
    return known.lock if is_bare and not touches(doc, fields) else None


def _plan_merge(pending: PendingWrite, body: UpdateBody, doc: dict[str, Any]) -> WritePlan:
    """Plan one write of document and vectors, under the lock of what it is merged with."""
    known, own = pending.known, pending.operation.lock
    if known is None:
        return _plan_without_vectors(pending, body)
    if known.source is None:
        return _plan_first_document(pending, body, doc)
    if (own is None and not pending.may_lock) or (own is not None and own != known.lock):
        return _plan_without_vectors(pending, body)
    after = merge(known.source, doc)
    texts = pending.find_texts(after, after, known.source)
    bare = body.without_parts("upsert", "doc_as_upsert")  # OpenSearch takes no upsert under a lock
    source = pending.operation.source if bare is body else encode_line(bare.text)
    unchanged = UnchangedSource(source, {text.field: read_vector(after, text.field) for text in texts})
    lock = None if own else known.lock
    return VectorInsertion(bare.source("doc"), texts, bare, "doc", lock, unchanged=unchanged)


def _plan_first_document(pending: PendingWrite, body: UpdateBody, doc: dict[str, Any]) -> WritePlan:
    """Plan an upsert that creates the document. If one appears meanwhile, it gets no vector."""
    part = "doc" if body.is_set("doc_as_upsert") else "upsert"
    first = doc if part == "doc" else body.value("upsert")
    if first is None:
        return _plan_without_vectors(pending, body)
    bare = _remove_vectors(body.without_parts("upsert", "doc_as_upsert"), pending)
    texts = pending.find_texts(first, first)
    unless_created = RecheckPolicy.UNLESS_CREATED
    return VectorInsertion(body.source(part), texts, bare, "upsert", recheck=unless_created)


def _plan_without_vectors(pending: PendingWrite, body: UpdateBody) -> OutgoingWrite:
    """Plan a write that drops the vectors, and a recheck that gives the document new ones."""
    return OutgoingWrite(encode_line(_remove_vectors(body, pending).text), None, RecheckPolicy.ALWAYS)


def _remove_vectors(body: UpdateBody, pending: PendingWrite) -> UpdateBody:
    """Return a body that drops the stored vectors, and brings none with an upsert."""
    doc = body.source("doc")
    for field in reversed(pending.settings.fields):
        doc = Document(doc).with_null(field)
    return _strip_upsert(body.with_part("doc", doc), pending)


def _strip_upsert(body: UpdateBody, pending: PendingWrite) -> UpdateBody:
    """Return a body whose upsert, if it has one, brings no vector."""
    if body.value("upsert") is None:
        return body
    upsert = body.source("upsert")
    for field in reversed(pending.settings.fields):
        upsert = Document(upsert).without_vector(field)
    return body.with_part("upsert", upsert)
