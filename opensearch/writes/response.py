"""OpenSearch's answer to writes: read as far as needed, and written back with single items exchanged."""

from dataclasses import dataclass
from typing import Any

import msgspec

from opensearch.writes.operation import Lock

ResponseItem = dict[str, msgspec.Raw]


@dataclass(frozen=True)
class WriteResult:
    """What became of one operation. `index` is the concrete one; `result` is empty where it failed.

    `lock` is where the document is then, None if the answer does not say.
    """

    status: int
    result: str
    index: str
    id: str
    lock: Lock | None = None

    @classmethod
    def of(cls, item: ResponseItem, status: int | None = None) -> "WriteResult":
        """Read one item of a bulk's answer, or the answer to a single write with its status.

        Raises:
            ValueError: it lacks what OpenSearch always says.
        """
        try:
            found = msgspec.convert(_plain(item), _Outcome)
        except msgspec.MsgspecError as error:
            raise ValueError(f"expected the outcome of a write, found: {error}") from error
        lock = None if found.seq_no < 0 else Lock(found.seq_no, found.primary_term)
        return cls(found.status if status is None else status, found.result, found.index, found.id, lock)


class _Outcome(msgspec.Struct):
    status: int = 0
    result: str = ""
    index: str = msgspec.field(name="_index", default="")
    id: str = msgspec.field(name="_id", default="")
    seq_no: int = msgspec.field(name="_seq_no", default=-1)
    primary_term: int = msgspec.field(name="_primary_term", default=0)


class BulkResponse:
    """The answer to a `_bulk`; every byte that is not exchanged stays."""

    def __init__(self, members: ResponseItem, items: list[dict[str, ResponseItem]]) -> None:
        self._members = members
        self.items = items

    @classmethod
    def parse(cls, body: bytes) -> "BulkResponse":
        """Read an answer.

        Raises:
            ValueError: it is not the whole answer to a bulk in JSON.
        """
        try:
            members = msgspec.json.decode(body, type=ResponseItem)
            items = msgspec.json.decode(members["items"], type=list[dict[str, ResponseItem]])
        except (msgspec.MsgspecError, KeyError) as error:
            raise ValueError(f"expected the answer to a bulk, found: {error}") from error
        if "errors" not in members or any(len(item) != 1 for item in items):
            raise ValueError("expected the whole answer to a bulk, found parts of one")
        return cls(members, items)

    def item(self, position: int) -> ResponseItem:
        """Return what stands in one item, under its action."""
        [content] = self.items[position].values()
        return content

    def deleted(self) -> dict[tuple[str, str], int]:
        """Return the last position at which each document was deleted, by index and id."""
        found = {}
        for position, item in enumerate(self.items):
            if "delete" in item:
                written = WriteResult.of(item["delete"])
                found[written.index, written.id] = position
        return found

    def body(self, *, is_pretty: bool) -> bytes:
        """Return the answer's JSON, `errors` made anew."""
        errors = any("error" in content for item in self.items for content in item.values())
        changed: dict[str, Any] = {**self._members, "errors": errors, "items": self.items}
        return as_json(changed, is_pretty=is_pretty)


def renumbered(item: ResponseItem, repaired: ResponseItem) -> ResponseItem:
    """Return an item with version and sequence number of the repair: what the client may lock on next."""
    numbers = ("_version", "_seq_no", "_primary_term")
    return {key: repaired.get(key, value) if key in numbers else value for key, value in item.items()}


def as_json(content: Any, *, is_pretty: bool) -> bytes:  # noqa: ANN401  # any JSON value
    """Return JSON as OpenSearch writes it."""
    body = msgspec.json.encode(content)
    return msgspec.json.format(body, indent=2) + b"\n" if is_pretty else body


def _plain(item: ResponseItem) -> dict[str, Any]:
    wanted = {"status", "result", "_index", "_id", "_seq_no", "_primary_term"}
    return {key: msgspec.json.decode(value) for key, value in item.items() if key in wanted}
