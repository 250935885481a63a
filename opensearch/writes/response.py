"""OpenSearch's response to writes: read as far as needed, and encoded again with single items replaced."""

from dataclasses import dataclass
from typing import Any

import msgspec

from opensearch.rawjson.prepared import prepared
from opensearch.writes.operation import Lock

ResponseItem = dict[str, msgspec.Raw]


@dataclass(frozen=True)
class WriteResult:
    """The result of one operation. `index` is the concrete one; `result` is empty if it failed.

    `lock` is the document's new version, None if the response does not hold it.
    """

    status: int
    result: str
    index: str
    id: str
    lock: Lock | None = None

    @classmethod
    def read(cls, item: ResponseItem, status: int | None = None) -> "WriteResult":
        """Read one item of a bulk's response, or the response to a single write with its status.

        Raises:
            ValueError: it lacks what OpenSearch always says.
        """
        try:
            found = msgspec.convert(_decode_known(item), _Outcome)
        except msgspec.MsgspecError as error:
            raise ValueError(f"expected the outcome of a write, found: {error}") from error
        lock = None if found.seq_no < 0 else Lock(found.seq_no, found.primary_term)
        return cls(found.status if status is None else status, found.result, found.index, found.id, lock)


@prepared
class _Outcome(msgspec.Struct):
    status: int = 0
    result: str = ""
    index: str = msgspec.field(name="_index", default="")
    id: str = msgspec.field(name="_id", default="")
    seq_no: int = msgspec.field(name="_seq_no", default=-1)
    primary_term: int = msgspec.field(name="_primary_term", default=0)


class BulkResponse:
    """The response to a `_bulk`; every byte that is not replaced stays."""

    def __init__(self, members: ResponseItem, items: list[dict[str, ResponseItem]]) -> None:
        self._members = members
        self.items = items

    @classmethod
    def parse(cls, body: bytes) -> "BulkResponse":
        """Read a response.

        Raises:
            ValueError: it is not the whole response to a bulk in JSON.
        """
        try:
            members = msgspec.json.decode(body, type=ResponseItem)
            items = msgspec.json.decode(members["items"], type=list[dict[str, ResponseItem]])
        except (msgspec.MsgspecError, KeyError) as error:
            raise ValueError(f"expected the response to a bulk, found: {error}") from error
        if "errors" not in members or any(len(item) != 1 for item in items):
            raise ValueError("expected the whole response to a bulk, found parts of one")
        return cls(members, items)

    def item(self, position: int) -> ResponseItem:
        """Return the content of one item, under its action."""
        [content] = self.items[position].values()
        return content

    def find_deleted(self) -> dict[tuple[str, str], int]:
        """Return the last position at which each document was deleted, by index and id."""
        found = {}
        for position, item in enumerate(self.items):
            if "delete" in item:
                written = WriteResult.read(item["delete"])
                found[written.index, written.id] = position
        return found

    def encode(self, *, is_pretty: bool) -> bytes:
        """Return the response's JSON, with `errors` recomputed."""
        errors = any("error" in content for item in self.items for content in item.values())
        changed: dict[str, Any] = {**self._members, "errors": errors, "items": self.items}
        return encode_json(changed, is_pretty=is_pretty)


def renumber(item: ResponseItem, repaired: ResponseItem) -> ResponseItem:
    """Return an item with the repair's version and sequence number, which the client may lock on next."""
    numbers = ("_version", "_seq_no", "_primary_term")
    return {key: repaired.get(key, value) if key in numbers else value for key, value in item.items()}


def encode_json(content: Any, *, is_pretty: bool) -> bytes:  # noqa: ANN401  # any JSON value
    """Return JSON as OpenSearch writes it."""
    body = msgspec.json.encode(content)
    return msgspec.json.format(body, indent=2) + b"\n" if is_pretty else body


def _decode_known(item: ResponseItem) -> dict[str, Any]:
    wanted = {"status", "result", "_index", "_id", "_seq_no", "_primary_term"}
    return {key: msgspec.json.decode(value) for key, value in item.items() if key in wanted}
