"""Some operations of one request: looked up, planned, encoded, and written out as OpenSearch takes them.

`Batches.start` -> `Batch.sent`: between the two the encoder works, and the next batch can be started.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from indexer.enricher import chunking_of
from indexer.errors import DocumentError
from indexer.writes.plan import Check, Fresh, Plan, Sent, Situation, Text, plan_index
from indexer.writes.update_plan import plan_update
from opensearch.rawjson.members import JsonObjectError
from opensearch.writes.documents import Place, Stored
from opensearch.writes.operation import Operation
from opensearch.writes.target import WriteTarget
from opensearch.writes.update import UpdateBody, touches
from plugin.encoding.encoder_slot import EncoderSlot
from plugin.encoding.model import Model
from plugin.http.caller import caller
from plugin.http.messages import Request
from plugin.telemetry.write_counts import Tally
from plugin.upstream.client import Upstream
from plugin.upstream.documents import Wanted, read_documents
from reranker.text import Chunking

_log = logging.getLogger("twinrank.writes")

Encoding = Future[dict[int, bytes | None]]


@dataclass
class Batch:
    """Operations with their plans, None for one that is none of our concern, and vectors on their way."""

    plans: list[Plan | None]
    targets: list[WriteTarget | None]
    known: dict[tuple[str, int], bytes | None] = field(default_factory=dict)
    encodings: list[tuple[str, Encoding]] = field(default_factory=list)

    def sent(self, *, may_grow: bool = True) -> list[Sent | None]:
        """Return what is sent for each operation, once the encoder is done with them."""
        fresh = dict(self.known)
        for model, encoding in self.encodings:
            fresh |= {(model, hashed): packed for hashed, packed in encoding.result().items()}
        return [None if plan is None else _finished(plan, fresh if may_grow else None) for plan in self.plans]


class Batches:
    """Plans the batches of one request, one after the other.

    Args:
        upstream: the OpenSearch.
        request: the client's; everything is asked with its credentials.
        target_of: what stands behind a name; None where it is no concern of ours.
        model: whose vectors are stored.
        tally: where encoded texts are counted.
        slot: the request's place at the encoder; what finds none gets its vectors later.
    """

    def __init__(
        self, upstream: Upstream, request: Request, target_of: Callable[[str], WriteTarget | None],
        model: Model, tally: Tally, slot: EncoderSlot,
    ) -> None:  # fmt: skip
        self._upstream = upstream
        self._request = request
        self._target_of = target_of
        self._model = model
        self._slot = slot
        self._seen: set[Place] = set()
        self._tally = tally
        self._submitted: set[tuple[str, int]] = set()

    def start(self, operations: Sequence[Operation], *, may_lock: bool) -> Batch:
        """Plan operations and start encoding what they need.

        Raises:
            UpstreamError: OpenSearch cannot be asked what stands behind a name.
        """
        targets = [self._target_of(operation.index) for operation in operations]
        pairs = list(zip(operations, targets, strict=True))
        bodies = [None if target is None else _update_body(operation) for operation, target in pairs]
        situations = [
            None if target is None else self._situation(operation, target, may_lock)
            for operation, target in pairs
        ]
        plans = [
            None if situation is None or operation.action == "delete"
            else _planned(operation, body, situation)
            for operation, body, situation in zip(operations, bodies, situations, strict=True)
        ]  # fmt: skip
        batch = Batch(plans, targets)
        self._look_up(batch, operations, bodies, situations)
        self._encode(batch)
        return batch

    def _situation(self, operation: Operation, target: WriteTarget, may_lock: bool) -> Situation:
        place = None if operation.id is None else _place(operation, target)
        is_repeated = place in self._seen
        if place is not None:
            self._seen.add(place)
        return Situation(target, None, is_repeated, may_lock, self._model.tags)

    def _look_up(
        self,
        batch: Batch,
        operations: Sequence[Operation],
        bodies: Sequence[UpdateBody | None],
        situations: Sequence[Situation | None],
    ) -> None:
        """Read what is stored in one go: what updates are merged with, and vectors that may still fit."""
        wanted: dict[int, Wanted] = {}
        for position, (operation, body, situation) in enumerate(
            zip(operations, bodies, situations, strict=True)
        ):
            plan = batch.plans[position]
            if situation is not None and plan is not None and operation.id is not None:
                fields = self._fields(operation, body, situation, plan)
                if fields:
                    wanted[position] = (_place(operation, situation.target), fields)
        found = read_documents(self._upstream, caller(self._request), list(wanted.values()))
        for position, stored in zip(wanted, found, strict=True):
            self._use(batch, position, bodies[position], situations[position], stored)

    def _fields(
        self, operation: Operation, body: UpdateBody | None, situation: Situation, plan: Plan
    ) -> Sequence[str]:
        settings = situation.settings
        if body is not None:
            every = (*settings.source_fields, *settings.fields)
            doc = body.value("doc")
            if doc is None or body.has_script or not touches(doc, every):
                return ()
            return every if situation.target.kept.is_whole else (*every, *doc)  # to know a `noop` before
        if operation.action != "index":
            return ()
        unknown = (text for text in plan.texts if text.text and not text.held)
        return [text.field for text in unknown if self._known(text, situation.target) is None]

    def _use(
        self, batch: Batch, position: int, body: UpdateBody | None, situation: Situation | None,
        stored: Stored | None,
    ) -> None:  # fmt: skip
        plan = batch.plans[position]
        if stored is None or situation is None or plan is None:
            return
        if body is None:
            held = {text: stored.packed(text.field) for text in plan.texts}
            batch.known |= {
                text.key: packed
                for text, packed in held.items()
                if situation.is_current(packed, text.hash, text.model)
            }
            return
        batch.plans[position] = _planned(plan.operation, body, replace(situation, stored=stored))

    def _known(self, text: Text, target: WriteTarget) -> bytes | None:
        """Return the vector of a text that was encoded lately; none where new vectors are not wanted."""
        return self._model.known_vector(text.key) if target.settings.enabled else None

    def _encode(self, batch: Batch) -> None:
        missing: dict[tuple[str, Chunking], dict[int, str]] = defaultdict(dict)
        for plan, target in zip(batch.plans, batch.targets, strict=True):
            if plan is None or target is None:
                continue
            for text in plan.texts:
                if not text.text or text.held or text.key in batch.known:
                    continue
                known = self._known(text, target)
                if known is not None:
                    batch.known[text.key] = known
                elif target.settings.enabled and text.model in self._model.writers:
                    missing[text.model, chunking_of(target.settings)][text.hash] = text.text
        for (model, chunking), texts in missing.items():
            if self._slot.take():
                keys = {(model, hashed) for hashed in texts}
                self._tally.encoded += len(keys - self._submitted)  # the batch before may still encode some
                self._submitted |= keys
                encoding = self._model.writers[model].submit(texts, chunking)
                encoding.add_done_callback(self._slot.give_back)
                batch.encodings.append((model, encoding))


def _finished(plan: Plan, fresh: Fresh) -> Sent:
    try:
        return plan.finish(fresh)
    except DocumentError as error:  # an upsert that holds something else where the vector belongs
        _log.debug("left as it came: %s", error)
        return Sent(plan.operation.source, None, Check.ALWAYS)


def _place(operation: Operation, target: WriteTarget) -> Place:
    return Place(target.index, operation.id or "", target.routing_of(operation))


def _update_body(operation: Operation) -> UpdateBody | None:
    if operation.action != "update" or operation.source is None:
        return None
    try:
        return UpdateBody.parse(operation.source)
    except JsonObjectError:
        return None


def _planned(operation: Operation, body: UpdateBody | None, situation: Situation) -> Plan:
    """Return the plan; what we cannot read OpenSearch answers, and what it takes is looked at after."""
    try:
        if body is not None:
            return plan_update(operation, body, situation)
        if operation.source is not None and operation.action != "update":
            return plan_index(operation, operation.source.decode("utf-8"), situation)
    except (DocumentError, JsonObjectError, UnicodeDecodeError, RecursionError) as error:
        _log.debug("left as it came: %s", error)
    return Plan.as_it_came(operation, Check.ALWAYS)
