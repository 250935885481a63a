"""Structs that several threads may decode for the first time at once.

msgspec lays out a struct's fields when it first decodes into it. If two threads do so at the same time, one
may read what the other has half written, and the process ends with a segmentation fault (msgspec 0.22.0). So
a struct is laid out when its module is imported: by a `Decoder` of that module, or by `prepared`.
"""

from typing import Any, TypeVar

import msgspec

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

DECODERS: list[msgspec.json.Decoder[Any]] = []
"""The decoders that `prepared` has made."""


def prepared(struct: type[_Struct]) -> type[_Struct]:
    """Lay out a struct, and those that it is made of, for `msgspec.convert` in any thread."""
    DECODERS.append(msgspec.json.Decoder(struct))
    return struct
