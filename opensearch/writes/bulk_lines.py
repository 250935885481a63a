"""A bulk request read line by line as it arrives, so that a long one is never held whole."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from opensearch.writes.operation import Operation, parse_action

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A longer line is passed on in pieces, unread."""


def read_bulk(blocks: Iterable[bytes], defaults: Mapping[str, str]) -> Iterator[Operation | bytes]:
    """Yield a bulk's operations, each with its lines, and everything else as bytes.

    Everything that is yielded, lines and bytes, is the body, byte for byte. From the first action line that
    is not understood on, the rest comes as bytes: OpenSearch refuses such a bulk, or knows the action.
    """
    lines = _Lines(blocks)
    while line := lines.next():
        if not line.strip():
            yield line
            continue
        operation = parse_action(line, defaults) if line.endswith(b"\n") else None
        if operation is None:
            yield line
            yield from lines.rest()
            return
        yield from [operation] if operation.action == "delete" else _read_source(operation, lines)


def _read_source(operation: Operation, lines: "_Lines") -> Iterator[Operation | bytes]:
    source = lines.next()
    is_whole = source.endswith(b"\n")
    if is_whole and len(source) <= MAX_LINE_BYTES:
        yield replace(operation, source=source)
        return
    yield operation
    yield source
    while not is_whole and (source := lines.next()):
        yield source
        is_whole = source.endswith(b"\n")


class _Lines:
    """Lines with their ends; one longer than the limit comes in pieces, as does a last one without an end."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._held = b""

    def next(self) -> bytes:
        """Return the next line, nothing at the end."""
        parts: list[bytes] = []
        size = 0
        while size <= MAX_LINE_BYTES:
            block = self._held or next(self._blocks, b"")
            end = block.find(b"\n") + 1
            line, self._held = (block[:end], block[end:]) if end else (block, b"")
            parts.append(line)
            size += len(line)
            if end or not line:
                break
        return b"".join(parts)

    def rest(self) -> Iterator[bytes]:
        """Yield everything that was not returned yet."""
        if self._held:
            yield self._held
        self._held = b""
        yield from self._blocks
