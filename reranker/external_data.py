"""Change where an ONNX graph looks for its weights: the file names of its external data.

A graph is a protobuf message. Only the messages on the way to those names are read, and the rest is copied,
so that serving needs no `onnx` package.
"""

from collections.abc import Iterator, Mapping, Sequence

PATH_TO_DATA = (7, 5, 13)
"""Fields of onnx.proto, by number: ModelProto.graph, GraphProto.initializer, TensorProto.external_data."""

KEY, VALUE = 1, 2
"""Numbers of the fields of an entry of `external_data`."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Protobuf's wire types; the others are no longer in use."""


def relocate_data(graph: bytes, names: Mapping[str, str]) -> bytes:
    """Return the graph with other file names of external data.

    Args:
        graph: a serialised ModelProto.
        names: the new name of each file that the graph may name.

    Raises:
        ValueError: the bytes are no such message, or it names another file.
    """
    return _rewrite(graph, PATH_TO_DATA, names)


def _rewrite(message: bytes, path: Sequence[int], names: Mapping[str, str]) -> bytes:
    """Return a message whose sub-messages at the end of `path` have the new names."""
    if not path:
        return _rename(message, names)
    parts: list[bytes] = []
    for number, tag, content in _read_fields(message):
        if number == path[0]:
            content = _with_length(_rewrite(_without_length(content), path[1:], names))
        parts += (tag, content)
    return b"".join(parts)


def _rename(entry: bytes, names: Mapping[str, str]) -> bytes:
    """Return an entry of `external_data`: if its key is `location`, with the new name as its value."""
    fields = {number: (tag, content) for number, tag, content in _read_fields(entry)}
    if KEY not in fields or _without_length(fields[KEY][1]) != b"location" or VALUE not in fields:
        return entry
    tag, content = fields[VALUE]
    found = _without_length(content).decode()
    if found not in names:
        raise ValueError(f"weights in {found!r}, which the manifest does not name")
    fields[VALUE] = tag, _with_length(names[found].encode())
    return b"".join(part for field in fields.values() for part in field)


def _read_fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield each field's number, its tag's bytes and its content's bytes, the length included."""
    position = 0
    while position < len(message):
        tag, start = _read_varint(message, position)
        kind = tag & 7
        if kind == VARINT:
            _, end = _read_varint(message, start)
        elif kind == LENGTH:
            length, content = _read_varint(message, start)
            end = content + length
        elif kind in (FIXED64, FIXED32):
            end = start + (8 if kind == FIXED64 else 4)
        else:
            raise ValueError("bytes that are no protobuf message")
        if end > len(message):
            raise ValueError("a protobuf message that is cut short")
        yield tag >> 3, message[position:start], message[start:end]
        position = end


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    """Return the number at `position`, seven bits a byte with the lowest first, and the position after it."""
    value = shift = 0
    for end in range(position, min(position + 10, len(message))):
        value |= (message[end] & 0x7F) << shift
        if message[end] < 0x80:
            return value, end + 1
        shift += 7
    raise ValueError("a protobuf message that is cut short")


def _write_varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _without_length(content: bytes) -> bytes:
    length, start = _read_varint(content, 0)
    if start + length != len(content):
        raise ValueError("bytes that are no protobuf message")
    return content[start:]


def _with_length(content: bytes) -> bytes:
    return _write_varint(len(content)) + content
