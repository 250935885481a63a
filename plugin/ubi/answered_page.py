"""The answer to a search, as its client is shown it: its hits, and where the `query_id` is written."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from opensearch.fields.vector_field import Hit
from opensearch.rawjson.style import Style, detect_style
from opensearch.rawjson.surrogates import swap_surrogates
from plugin.ubi.object_ids import ObjectIds
from plugin.ubi.parameters import UBI

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_HITS = msgspec.json.Decoder(list[dict[str, Raw]])
_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class AnsweredPage:
    """An answer, complete or not, that holds a page of hits."""

    top: dict[str, Raw]
    envelope: dict[str, Raw]
    hits: list[Hit]
    style: Style

    @classmethod
    def parse(cls, body: bytes, within: int = 0) -> "AnsweredPage | None":
        """Read an answer that lies `within` that many objects and arrays; None if it is no page of hits."""
        try:
            if not body.isascii():
                body.decode()  # msgspec checks a text only when it is read, and would raise there
            top = _OBJECT.decode(body)
            envelope = _OBJECT.decode(top.get("hits", b"{}"))
            hits = _HITS.decode(envelope.get("hits", b"[]"))
        except _ERRORS:
            return None
        return None if "error" in top else cls(top, envelope, hits, detect_style(body, within))

    def write(self, ids: ObjectIds, query_id: str | None) -> bytes:
        """Return the answer without what was added for the ids, and with the `query_id` if there is one."""
        top = dict(self.top)
        if ids.changes_request:
            top = self._cut(top, ids)
        if query_id is not None:
            top = {**top, "ext": self._name_query(top.pop("ext", None), query_id)}
        return bytes(self.style.object(top, 0)) + self.style.end

    def _cut(self, top: dict[str, Raw], ids: ObjectIds) -> dict[str, Raw]:
        """Return the members without what was added."""
        style, filter_path = self.style, ids.filter_path
        cut: Sequence[Hit] = [ids.cut(hit, style) for hit in self.hits]
        envelope = dict(self.envelope)
        if filter_path is not None:  # OpenSearch shows no hit that is empty, and no empty list of hits
            cut = [hit for hit in cut if hit]
        if cut or filter_path is None:
            envelope["hits"] = style.array([style.object(hit, 3) for hit in cut], 2)
        else:
            envelope.pop("hits", None)
        if envelope or filter_path is None:
            top["hits"] = style.object(envelope, 1)
        else:
            top.pop("hits", None)
        return top

    def _name_query(self, ext: Raw | None, query_id: str) -> Raw:
        """Return the answer's `ext` with the `query_id`, as the plugin writes it."""
        others = {} if ext is None else _OBJECT.decode(ext)
        named = {"query_id": Raw(msgspec.json.encode(query_id))}
        return self.style.object({**others, UBI: self.style.object(named, 2)}, 1)


def rewrite_page(
    body: bytes, ids: ObjectIds, query_id: str | None, within: int = 0
) -> tuple[bytes, list[str]] | None:
    """Return an answer as its client is to see it, and the ids of its hits; None if it is no page of hits.

    `within` is as in `AnsweredPage.parse`. Lone surrogates stay as they are.
    """
    found = _rewrite(body, ids, query_id, within)
    if found is not None:
        return found
    halves = swap_surrogates(body)
    found = None if halves is None else _rewrite(halves.text, ids, query_id, within)
    return None if halves is None or found is None else (halves.restore(found[0]), found[1])


def _rewrite(
    body: bytes, ids: ObjectIds, query_id: str | None, within: int
) -> tuple[bytes, list[str]] | None:
    page = AnsweredPage.parse(body, within)
    try:
        return None if page is None else (page.write(ids, query_id), ids.read(page.hits))
    except _ERRORS:
        return None
