"""What a bulk's response leaves to do: merge again after a conflict, and add vectors after the write."""

import logging

from indexer.writes.pending import PendingWrite
from indexer.writes.plan import RecheckPolicy
from opensearch.writes.documents import DocumentKey
from opensearch.writes.response import BulkResponse, WriteResult, renumber
from plugin.errors import UpstreamError
from plugin.http.messages import Request
from plugin.writes.conflicts import RETRIES, ROUNDS
from plugin.writes.repairs import Recheck
from plugin.writes.session import WriteSession

_log = logging.getLogger("twinrank.writes")

MAX_FOLLOW_UPS = 50_000
"""Operations of one bulk that are locked or rechecked; more lose their vector until sync."""


class BulkRetries:
    """The operations of one bulk that are not done with their write."""

    def __init__(self, session: WriteSession, request: Request) -> None:
        self._session = session
        self._request = request
        self._noted: list[PendingWrite] = []
        self._last: dict[DocumentKey, int] = {}

    @property
    def are_due(self) -> bool:
        """Whether there is any."""
        return bool(self._noted)

    @property
    def has_capacity(self) -> bool:
        """Whether one more is taken."""
        return len(self._noted) < MAX_FOLLOW_UPS

    def note(self, pending: PendingWrite) -> None:
        """Count a write that is being sent, and keep it if there is more to do for it."""
        self._session.counts.documents += 1
        if self._noted and pending.key in self._last:
            self._last[pending.key] = pending.position
        if pending.outgoing.lock is None and pending.outgoing.recheck is RecheckPolicy.NEVER:
            return
        if self.has_capacity:
            pending.drop_plan()
            self._noted.append(pending)
            self._last[pending.key] = pending.position
        else:
            self._session.counts.left += 1

    def settle(self, response: BulkResponse) -> bool:
        """Do what is left, exchange the items that it changes, and return whether any was."""
        is_changed = self._retry_conflicts(response)
        return self._recheck(response) or is_changed

    def _retry_conflicts(self, response: BulkResponse) -> bool:
        """Merge again what met a conflict with the proxy's lock, and exchange its item."""
        # not if a later line of the bulk goes to the same document: it would be overtaken
        alone = [one for one in self._noted if self._last[one.key] == one.position]
        lost = [one for one in alone if _has_lost_lock(one, response)]
        is_changed = bool(lost)
        for number in range(ROUNDS):
            if not lost:
                break
            try:
                retried = self._retry(lost, response, may_lock=number < ROUNDS - 1)
            except UpstreamError as error:  # the rest of the bulk is written: its response must not be lost
                _log.warning("%d partial updates cannot be tried again: %s", len(lost), error)
                break
            replaced = {one.position: one for one in retried}
            self._noted = [replaced.get(one.position, one) for one in self._noted]
            lost = [one for one in retried if _has_lost_lock(one, response)]
        return is_changed

    def _retry(
        self, lost: list[PendingWrite], response: BulkResponse, *, may_lock: bool
    ) -> list[PendingWrite]:
        """Send operations once more, exchange their items, and return what was sent; none if that fails."""
        planner = self._session.make_planner()
        batch = planner.start([one.operation for one in lost], may_lock=may_lock)
        batch.build()
        if len(batch.pending) < len(lost):  # the index lost its settings meanwhile: its conflict stays
            return []
        body = batch.encode(retries=RETRIES)
        retry_response = self._session.write("POST", self._request.target, body)
        try:
            items = BulkResponse.parse(retry_response.body).items
        except ValueError:
            return []
        for before, pending, item in zip(lost, batch.pending, items, strict=True):
            response.items[before.position] = item
            pending.position = before.position
            pending.drop_plan()
        return batch.pending

    def _recheck(self, response: BulkResponse) -> bool:
        """Give documents their vectors after the write, and show the numbers that they have now."""
        due: dict[int, Recheck] = {}
        deleted = response.find_deleted()
        for pending in self._noted:
            written = WriteResult.read(response.item(pending.position))
            is_gone = deleted.get((written.index, written.id), -1) > pending.position
            is_due = 200 <= written.status < 300 and pending.outgoing.recheck.applies_to(written.result)
            if is_due and not is_gone:
                recheck = self._session.plan_recheck(pending, written)
                due |= {} if recheck is None else {pending.position: recheck}
        items = self._session.recheck(due)
        for position, item in items.items():
            [(action, before)] = response.items[position].items()
            response.items[position] = {action: renumber(before, item)}
        return bool(items)

    def repair_known(self) -> None:
        """Repair documents by the ids that the client gave, since the response cannot be read."""
        unknown = WriteResult(200, "", "", "")
        known = [one for one in self._noted if one.operation.id is not None]
        self._session.counts.left += len(self._noted) - len(known)
        rechecks = {one.position: self._session.plan_recheck(one, unknown) for one in known}
        self._session.recheck({at: recheck for at, recheck in rechecks.items() if recheck is not None})


def _has_lost_lock(pending: PendingWrite, response: BulkResponse) -> bool:
    if pending.outgoing.lock is None:
        return False
    return pending.has_lost_lock(WriteResult.read(response.item(pending.position)).status)
