"""`POST /_plugins/_rerank/enrich?index=NAME`: documents in, documents with vectors out, nothing written.

For pipelines that write to OpenSearch past the proxy. A document is a JSON object; many come as lines
(NDJSON) or as an array, and go back in the same form and order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from indexer.document import Document
from indexer.errors import DocumentError
from indexer.writes.pending import PendingWrite
from opensearch.rawjson.members import JsonObjectError
from opensearch.settings.table import DEFAULT_FIELD
from opensearch.writes.operation import Operation
from plugin.errors import error_body
from plugin.http.content_coding import decode_body
from plugin.http.messages import Request, Response
from plugin.telemetry.write_counts import EnrichCounts
from plugin.upstream.client import Exchange
from plugin.writes.batch import BatchPlanner, Part
from plugin.writes.parameters import is_json
from plugin.writes.session import WriteSession

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_DOCUMENTS = 10_000
BATCH_DOCUMENTS = 256

_JSON = "application/json"
_NDJSON = "application/x-ndjson"


class _BadRequestError(Exception):
    """A request that cannot be answered: its status, and what was expected and found."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class _Documents:
    """The documents of one request, and how they are put together: before, between and after."""

    sources: Sequence[str]
    content_type: str
    marks: tuple[bytes, bytes, bytes]

    def join(self, sources: Sequence[bytes]) -> bytes:
        before, between, after = self.marks
        return before + between.join(sources) + (after if sources or before else b"")


def enrich_documents(session: WriteSession, request: Request) -> Response:
    """Answer one request.

    The caller needs OpenSearch's permission to read the index's settings; a refusal is passed on.

    Raises:
        UpstreamError: OpenSearch cannot be asked.
    """
    name = session.parameters.get("index", "")
    try:
        refusal = _find_refusal(session, name)
        if refusal is not None:
            return Response(refusal.status, refusal.headers, refusal.body, refusal.reason)
        documents = _read(request)
        target = session.find_target(name)
        for number, source in enumerate(documents.sources, 1):
            _check(source, number, DEFAULT_FIELD if target is None else target.settings.field)
        body = documents.join(_encode(name, session, documents.sources))
    except _BadRequestError as error:
        reason = error_body(error.status, "rerank_request_exception", str(error))
        return Response(error.status, (("Content-Type", _JSON),), reason)
    outcome = EnrichCounts(session.counts.documents, session.counts.encoded)
    return Response(200, (("Content-Type", documents.content_type),), body, outcome=outcome)


def _encode(name: str, session: WriteSession, sources: Sequence[str]) -> Sequence[bytes]:
    """Return documents with their vectors.

    Raises:
        _BadRequestError: too many requests wait for the encoder.
    """
    if not session.slot.take():
        raise _BadRequestError(429, "expected fewer requests that wait for the encoder; try again later")
    try:
        return _add_vectors(session.make_planner(), name, session, sources)
    finally:
        session.slot.give_back()


def _find_refusal(session: WriteSession, name: str) -> Exchange | None:
    """Return OpenSearch's own refusal if the caller may not see the index.

    Raises:
        _BadRequestError: no index is named, or it has no settings.
    """
    if not name:
        raise _BadRequestError(400, "expected the parameter index, whose settings hold, found none")
    target = session.find_target(name)
    if target is not None and target.settings.model == session.model_name:
        return None
    if target is not None:
        found = f"{target.settings.model}, and this proxy has {session.model_name}"
        raise _BadRequestError(400, f"{name}: expected settings of this proxy's model, found {found}")
    asked, is_there = session.ask_about(name)
    if asked.status in (401, 403, 429) or asked.status >= 500:
        return asked
    raise _BadRequestError(
        400 if is_there else 404,
        f"{name}: expected an index, or a template for it, with valid settings under _meta.rerank and vectors"
        f" that Twinrank makes, found none. Write them with: twinrank enable {name} --field FIELD",
    )


def _add_vectors(
    planner: BatchPlanner, name: str, session: WriteSession, sources: Sequence[str]
) -> list[bytes]:
    """Return the documents with their vectors, made as a write makes them."""
    given = {key: session.parameters[key] for key in ("pipeline",) if key in session.parameters}
    operations = [Operation("index", {"_index": name, **given}, b"", source.encode()) for source in sources]
    written: list[bytes] = []
    for start in range(0, len(operations), BATCH_DOCUMENTS):
        batch = planner.start(operations[start : start + BATCH_DOCUMENTS], may_lock=False)
        batch.build()
        session.counts.documents += len(batch.parts)
        written += (_read_source(part) for part in batch.parts)
    return written


def _read_source(part: Part) -> bytes:
    """Return the document that a part of a batch writes."""
    if isinstance(part, bytes):
        return part
    source = part.outgoing.source if isinstance(part, PendingWrite) else part.source
    return (source or b"").removesuffix(b"\n")


def _read(request: Request) -> _Documents:
    """Return the documents of a request's body.

    Raises:
        _BadRequestError: it is too long, no JSON, or one of its documents is none.
    """
    if not is_json(request):
        raise _BadRequestError(415, "expected JSON or lines of JSON, plain or gzip, by their headers")
    body = request.stream.read(MAX_BODY_BYTES + 1)
    is_packed = request.header("content-encoding").lower() == "gzip"
    plain = decode_body(body, "gzip", MAX_BODY_BYTES) if is_packed else body
    if plain is None or len(body) > MAX_BODY_BYTES:
        raise _BadRequestError(
            413, f"expected at most {MAX_BODY_BYTES} bytes, valid if compressed, found others"
        )
    try:
        text = plain.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _BadRequestError(400, f"expected UTF-8, found {error}") from error
    documents = _split_documents(text, "ndjson" in request.header("content-type").lower())
    if len(documents.sources) > MAX_DOCUMENTS:
        raise _BadRequestError(413, f"expected at most {MAX_DOCUMENTS} documents, found more")
    return documents


def _split_documents(text: str, is_ndjson: bool) -> _Documents:
    if is_ndjson:
        lines = [line for line in text.split("\n") if line.strip()]
        return _Documents(lines, _NDJSON, (b"", b"\n", b"\n"))
    if not text.lstrip().startswith("["):
        return _Documents([text.strip()], _JSON, (b"", b"", b""))
    try:
        elements = msgspec.json.decode(text, type=list[msgspec.Raw])
    except msgspec.MsgspecError as error:
        raise _BadRequestError(400, f"expected an array of documents, found: {error}") from error
    return _Documents([bytes(element).decode() for element in elements], _JSON, (b"[", b",", b"]"))


def _check(source: str, number: int, field: str) -> None:
    try:
        Document(source).without_vector(field)
    except (DocumentError, JsonObjectError) as error:
        raise _BadRequestError(400, f"document {number}: {error}") from error
