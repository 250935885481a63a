"""`_msearch` requests as they stand, and their answers item by item."""

import json
import re
from typing import Any

import msgspec

from tests.support.http.raw_http import RawAnswer, ask

NDJSON = {"Content-Type": "application/x-ndjson"}


def lines(*parts: Any) -> bytes:  # noqa: ANN401  # any JSON, or bytes as they stand
    written = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in parts)
    return b"".join(line + b"\n" for line in written)


def msearch(url: str, body: bytes, parameters: str = "", indices: str = "") -> RawAnswer:
    return ask(url, "POST", f"{indices}/_msearch{parameters}", body, NDJSON)


def items(answer: RawAnswer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(answer.body)["responses"]
    return found


def item_ids(item: dict[str, Any]) -> list[str]:
    return [hit["_id"] for hit in item["hits"]["hits"]]


def timeless(body: bytes) -> bytes:
    """Return an answer without what differs from run to run."""
    return re.sub(rb'"took"( ?):( ?)\d+', rb'"took"\1:\g<2>0', body)


def raw_items(answer: RawAnswer) -> list[bytes]:
    top = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])
    return [timeless(bytes(raw)) for raw in msgspec.json.decode(top["responses"], type=list[msgspec.Raw])]
