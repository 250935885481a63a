"""Read the indices behind a point in time from its id: a search by it names none.

The id is what OpenSearch's `SearchContextId` writes, base64 for URLs: a version, then every shard with its
index, the node that holds it and the reader's id there. Other forms are not read.
"""

import base64
import binascii
from typing import Any
from urllib.parse import quote

_MAX_SHARDS = 100_000


class _UnreadableError(Exception):
    """Not the bytes that were expected."""


def read_indices(pit: Any) -> str | None:  # noqa: ANN401  # any JSON value of `pit`
    """Return the indices behind a search's `pit`, joined by commas for a path; None if it is unreadable."""
    encoded = pit.get("id") if isinstance(pit, dict) else None
    if not isinstance(encoded, str):
        return None
    try:
        data = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        names = _IdReader(data).read_indices()
    except (_UnreadableError, binascii.Error, ValueError):
        return None
    return ",".join(quote(name, safe="") for name in dict.fromkeys(names)) or None


class _IdReader:
    """Reads what OpenSearch's StreamOutput wrote."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def read_indices(self) -> list[str]:
        """Return the index of every shard."""
        self._read_number()  # OpenSearch's version
        num_shards = self._read_number()
        if num_shards > _MAX_SHARDS:
            raise _UnreadableError
        return [self._read_shard() for _ in range(num_shards)]

    def _read_shard(self) -> str:
        index = self._read_text()
        self._read_text()  # the index's UUID
        self._read_number()  # the shard
        self._read_text()  # the node
        if self._read_byte():
            raise _UnreadableError  # a remote cluster's alias
        self._skip(8)  # the reader's number
        self._read_text()  # the session
        return index

    def _read_byte(self) -> int:
        self._skip(1)
        return self._data[self._place - 1]

    def _skip(self, length: int) -> None:
        self._place += length
        if self._place > len(self._data):
            raise _UnreadableError

    def _read_number(self) -> int:
        """Read a number, seven bits a byte, the lowest first."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self._read_byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise _UnreadableError

    def _read_text(self) -> str:
        """Read a text in ASCII: names of indices are."""
        length = self._read_number()
        self._skip(length)
        text = self._data[self._place - length : self._place]
        if not text.isascii():
            raise _UnreadableError
        return text.decode("ascii")
