"""What a bulk's answer leaves to do: merge anew what met a conflict, and give vectors after the write."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from indexer.writes.plan import Check, Sent
from opensearch.writes.documents import Place
from opensearch.writes.operation import Operation
from opensearch.writes.response import BulkAnswer, Written, renumbered
from opensearch.writes.target import WriteTarget
from plugin.errors import UpstreamError
from plugin.http.messages import Request
from plugin.writes.repairs import Repair
from plugin.writes.session import WriteContext

_log = logging.getLogger("twinrank.writes")

MAX_FOLLOW_UPS = 50_000
"""Operations of one bulk that are locked or looked at afterwards; more lose their vector until sync."""

ROUNDS = 3
"""How often a partial update is merged anew when somebody else was faster; then it goes without a lock."""


@dataclass(frozen=True)
class FollowUp:
    """One operation on an index of ours, by its place in the answer, and what was sent for it."""

    position: int
    operation: Operation
    target: WriteTarget
    sent: Sent

    @property
    def place(self) -> Place:
        """Where its document lies, as far as the client says."""
        return Place(self.target.index, self.operation.id or "", self.target.routing_of(self.operation))

    def has_lost(self, answer: BulkAnswer) -> bool:
        """Return whether a lock of ours kept the operation from what it would have done without."""
        if self.sent.lock is None:
            return False
        status = Written.of(answer.item(self.position)).status
        return status == 409 or (status == 404 and b"upsert" in (self.operation.source or b""))


class FollowUps:
    """The operations of one bulk that are not done with their write."""

    def __init__(self, context: WriteContext, request: Request, parameters: Mapping[str, str]) -> None:
        self._context = context
        self._request = request
        self._refresh = parameters.get("refresh", "")
        self._noted: list[FollowUp] = []
        self._last: dict[Place, int] = {}

    @property
    def are_due(self) -> bool:
        """Whether there is any."""
        return bool(self._noted)

    @property
    def has_room(self) -> bool:
        """Whether one more is taken."""
        return len(self._noted) < MAX_FOLLOW_UPS

    def note(self, one: FollowUp) -> None:
        """Note an operation, and whether there is more to do for it."""
        self._context.tally.documents += 1
        if self._noted and one.place in self._last:
            self._last[one.place] = one.position
        if one.sent.lock is None and one.sent.check is Check.NEVER:
            return
        if self.has_room:
            self._noted.append(one)
            self._last[one.place] = one.position
        else:
            self._context.tally.left += 1

    def settle(self, answer: BulkAnswer) -> bool:
        """Do what is left, exchange the items that it changes, and return whether any was."""
        is_changed = self._tried_again(answer)
        return self._repaired(answer) or is_changed

    def _tried_again(self, answer: BulkAnswer) -> bool:
        """Merge anew what met a conflict with a lock of ours, and exchange its item."""
        # not where a later line of the bulk goes to the same document: it would be overtaken
        alone = [one for one in self._noted if self._last[one.place] == one.position]
        lost = [one for one in alone if one.has_lost(answer)]
        is_changed = bool(lost)
        for number in range(ROUNDS):
            if not lost:
                break
            try:
                again = self._again(lost, may_lock=number < ROUNDS - 1)
            except UpstreamError as error:  # the rest of the bulk is written: its answer must not be lost
                _log.warning("%d partial updates cannot be tried again: %s", len(lost), error)
                break
            if again is None:
                break
            followed, items = again
            for new, position in zip(followed, (one.position for one in lost), strict=True):
                answer.items[position] = items.items[new.position]
            moved = [
                FollowUp(old.position, new.operation, new.target, new.sent)
                for old, new in zip(lost, followed, strict=True)
            ]
            replaced = {one.position: one for one in moved}
            self._noted = [replaced.get(one.position, one) for one in self._noted]
            lost = [one for one in moved if one.has_lost(answer)]
        return is_changed

    def _again(self, lost: list[FollowUp], *, may_lock: bool) -> tuple[list[FollowUp], BulkAnswer] | None:
        """Send those operations once more: -> what was sent, by their places in the answer."""
        operations = [one.operation for one in lost]
        batch = self._context.batches().start(operations, may_lock=may_lock)
        sent = batch.sent()
        if any(one is None for one in sent):  # the index lost its settings meanwhile: its conflict stands
            return None
        lines = b"".join(
            line for operation, one in zip(operations, sent, strict=True)
            for line in operation_lines(operation, one)
        )  # fmt: skip
        answer = self._context.write("POST", self._request.target, lines)
        followed = [
            FollowUp(place, operation, old.target, one)
            for place, (operation, one, old) in enumerate(zip(operations, sent, lost, strict=True))
            if one is not None
        ]
        try:
            return followed, BulkAnswer.parse(answer.body)
        except ValueError:
            return None

    def _repaired(self, answer: BulkAnswer) -> bool:
        """Give documents their vectors after the write, and show the numbers that they have now."""
        due: dict[int, Repair] = {}
        deleted = answer.deleted()
        for one in self._noted:
            written = Written.of(answer.item(one.position))
            is_gone = deleted.get((written.index, written.id), -1) > one.position
            if 200 <= written.status < 300 and one.sent.check.is_due(written.result) and not is_gone:
                repair = self._context.repair_of(one.operation, one.target, written)
                due |= {} if repair is None else {one.position: repair}
        items = self._context.repair(due, {one.position: one.operation for one in self._noted})
        for position, item in items.items():
            [(action, before)] = answer.items[position].items()
            answer.items[position] = {action: renumbered(before, item)}
        return bool(items)

    def repair_known(self) -> None:
        """Repair by the ids that the client gave, where the answer tells nothing."""
        unknown = Written(200, "", "", "")
        known = [one for one in self._noted if one.operation.id is not None]
        self._context.tally.left += len(self._noted) - len(known)
        repairs = {one.position: self._context.repair_of(one.operation, one.target, unknown) for one in known}
        due = {position: repair for position, repair in repairs.items() if repair is not None}
        self._context.repair(due, {one.position: one.operation for one in self._noted})


def operation_lines(operation: Operation, sent: Sent | None) -> tuple[bytes, ...]:
    """Return the lines of an operation: its own, or those that are sent in their place."""
    if sent is None:
        return operation.line, operation.source or b""
    line = operation.line if sent.lock is None else operation.locked_line(sent.lock)
    return line, sent.source or b""
