"""What the writes of one request share: its credentials, its counts, and its slot at the encoder."""

import logging
from collections.abc import Mapping

from indexer.writes.pending import PendingWrite
from opensearch.writes.documents import DocumentKey
from opensearch.writes.response import ResponseItem, WriteResult
from opensearch.writes.second_write import Refusal, find_refusal
from opensearch.writes.target import WriteTarget
from plugin.encoding.encoder_slot import EncoderSlot
from plugin.encoding.model import Model
from plugin.errors import UpstreamError
from plugin.http.caller import select_caller_headers
from plugin.http.messages import Request
from plugin.telemetry.write_counts import WriteCounts
from plugin.upstream.client import Exchange, Upstream
from plugin.writes.batch import BatchPlanner
from plugin.writes.parameters import read_url_parameters
from plugin.writes.repairs import Recheck, Repairer
from plugin.writes.targets import WriteTargets

_log = logging.getLogger("twinrank.writes")


class WriteSession:
    """One request's writes."""

    def __init__(
        self,
        upstream: Upstream,
        request: Request,
        targets: WriteTargets,
        model: Model,
        repairer: Repairer,
    ) -> None:
        self.upstream = upstream
        self.parameters: Mapping[str, str] = read_url_parameters(request)
        self.counts = WriteCounts()
        self._request = request
        self._targets = targets
        self._model = model
        self._repairer = repairer
        self.slot = EncoderSlot(model.documents.writers)
        self.creates = False
        """Whether a name belongs to no index yet, but to a template with settings."""

    def find_target(self, name: str) -> WriteTarget | None:
        """Return the index behind a name; None if it is not enabled for reranking.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        target = self._targets.find(self._request, name)
        self.creates |= target is not None and not target.exists
        return target

    @property
    def model_name(self) -> str:
        """The name of the bundle whose vectors are made, as settings spell it."""
        return self._model.vectors_of

    def ask_about(self, name: str) -> tuple[Exchange, bool]:
        """Return OpenSearch's own response about a name, and whether there is such an index.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        return self._targets.ask_about(self._request, name)

    def make_planner(self) -> BatchPlanner:
        """Return what plans the request's operations."""
        return BatchPlanner(
            self.upstream, self._request, self.find_target, self._model, self.counts, self.slot
        )

    def write(self, method: str, target: str, body: bytes) -> Exchange:
        """Send a write once and read the whole answer.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        headers = self._request.headers_without("content-encoding", "content-length", "accept-encoding")
        streamed = self.upstream.stream(method, target, headers, (body,) if body else (), len(body))
        try:
            content = b"".join(streamed)
        finally:
            streamed.close()
        return Exchange(streamed.status, streamed.reason, streamed.headers, content)

    def plan_recheck(self, pending: PendingWrite, written: WriteResult) -> Recheck | None:
        """Return how a document is rechecked after its write; None if that must not or need not be.

        It must not be if its second write would lose something, or if the client counts its versions itself:
        a repair would take the next number. Then it is counted as left. It need not be if an ingest pipeline
        has sent it to an index without settings.
        """
        operation, target = pending.operation, pending.target
        by_pipeline = pending.runs_pipeline
        if written.index not in ("", target.index):
            try:
                rerouted = self.find_target(written.index)
            except UpstreamError as error:  # what is written is written, and must be answered
                _log.warning("a document in %s cannot be rechecked: %s", written.index, error)
                self.counts.left += 1
                return None
            if rerouted is None:
                return None
            target = rerouted
        refusal = find_refusal(target, operation, written.result, by_pipeline=by_pipeline)
        if refusal is not None:
            self._refuse(target, refusal)
            return None
        if operation.has_external_version:
            self.counts.left += 1
            return None
        id_ = written.id or operation.id or ""
        key = DocumentKey(written.index or target.index, id_, target.find_routing(operation))
        return Recheck(key, target, written.lock, written.result == "noop")

    def _refuse(self, target: WriteTarget, refusal: Refusal) -> None:
        """Count a document that must not be written again, and log the first one of a request."""
        self.counts.left += 1
        if refusal.reason not in self.counts.reasons:
            _log.warning("%s: documents stay without the vector that fits: %s", target.index, refusal.problem)
        self.counts.reasons.add(refusal.reason)

    def recheck(self, due: Mapping[int, Recheck]) -> dict[int, ResponseItem]:
        """Give documents current vectors; return OpenSearch's items of those that were written."""
        if not due:
            return {}
        headers, rechecks = select_caller_headers(self._request), list(due.values())
        if not self.slot.take():
            self.counts.left += self._repairer.repair_later(headers, rechecks)
            return {}
        try:
            done = self._repairer.repair_now(headers, rechecks, self.parameters.get("refresh", ""))
        except Exception:  # noqa: BLE001  # see below
            # Broad, since the client's write is done. Whatever fails here, even the bundle's file, the client
            # must see OpenSearch's own answer: after a 500 it would write again, and a document without an
            # id twice. The document is counted as left, and `sync` gives it its vector.
            _log.exception("documents could not be rechecked after their write: unexpected error")
            self.counts.left += len(due)
            return {}
        finally:
            self.slot.give_back()
        self.counts.repaired += len(done.items)
        self.counts.left += done.num_left
        if done.num_missing:
            self.counts.reasons.add("not_found")
        last = {one.key: at for at, one in sorted(due.items())}  # a bulk may hold an id twice
        return {at: done.items[key] for key, at in last.items() if key in done.items}
