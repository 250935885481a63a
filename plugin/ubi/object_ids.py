"""The ids by which a record names hits: asked for beside what the client wants, read, and cut out again."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from msgspec import Raw

from opensearch.fields.vector_field import Hit, vector_field
from opensearch.rawjson.filter_path import FilterPath, Path, widen
from opensearch.rawjson.style import Style
from opensearch.search.request import SearchRequest

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_FIELD_KEYS = ("fields", "docvalue_fields", "stored_fields")


@dataclass(frozen=True)
class ObjectIds:
    """Reads the ids of hits.

    Attributes:
        field: the dotted field that has them; None: `_id`.
        added: a name that was added to the search's `fields`, and is cut out of its hits again.
        filter_path: the client's filter, widened by what is read; None if nothing was added to it.
    """

    field: str | None = None
    added: str | None = None
    filter_path: FilterPath | None = None

    @property
    def changes_request(self) -> bool:
        """Whether anything was added to what the client asks for."""
        return self.added is not None or self.filter_path is not None

    def read(self, hits: Sequence[Hit]) -> list[str]:
        """Return an id for each hit: the field's first value, else `_id`, else an empty string."""
        return [self._read_field(hit) or _read_text(hit.get("_id")) for hit in hits]

    def cut(self, hit: Hit, style: Style) -> Hit:
        """Return a hit without what was added."""
        if self.added is not None:
            hit = vector_field(self.added).remove_from_fields(hit, style)
        return hit if self.filter_path is None else self.filter_path.hit(hit, style)

    def _read_field(self, hit: Hit) -> str:
        if self.field is None:
            return ""
        found = _find_value(_decode(hit.get("_source")), self.field)
        if found is None:
            fields = _decode(hit.get("fields"))
            found = fields.get(self.field) if isinstance(fields, dict) else None
        return _write_text(found)


def request_ids(search: SearchRequest, field: str | None) -> tuple[ObjectIds, SearchRequest]:
    """Return what reads the ids of a search's hits, and the search that also asks for them.

    A field is asked for in `fields`: OpenSearch reads it from `_source` too, whatever part of that the
    client wants.
    """
    added = field if field and _is_hidden(search, field) else None
    body = dict(search.body)
    if added is not None:
        named = search.member("fields") or []
        body["fields"] = Raw(msgspec.json.encode([*named, added]))
    needed: list[Path] = [("hits", "hits", "_id")]
    if added is not None:
        needed.append(("hits", "hits", "fields", added))
    asked = search.parameters.get("filter_path", "")
    filter_path = widen(asked, needed) if asked else None
    if filter_path is None or not filter_path.hidden:
        return ObjectIds(field or None, added), search.with_body(body)
    parameters = {**search.parameters, "filter_path": filter_path.parameter}
    widened = SearchRequest(search.path, parameters, body)
    return ObjectIds(field or None, added, filter_path), widened


def _is_hidden(search: SearchRequest, field: str) -> bool:
    """Whether the client's own search may not show the field in its hits."""
    if not (search.filters_source or search.parameters.get("filter_path")):
        return False
    if not isinstance(search.member("fields") or [], list):
        return False  # an error, which OpenSearch answers
    names = [name for key in _FIELD_KEYS for name in _list_names(search.member(key))]
    names += [name for key in _FIELD_KEYS for name in search.parameters.get(key, "").split(",")]
    return not any(fnmatchcase(field, name) for name in names)


def _list_names(value: Any) -> list[str]:  # noqa: ANN401  # any JSON value
    each = value if isinstance(value, list) else [value]
    names = [one.get("field") if isinstance(one, dict) else one for one in each]
    return [name for name in names if isinstance(name, str)]


def _decode(raw: Raw | None) -> Any:  # noqa: ANN401  # any JSON value
    return None if raw is None else msgspec.json.decode(raw)


def _find_value(value: Any, path: str) -> Any:  # noqa: ANN401  # any JSON value
    """Return the value at a dotted path; a name may hold dots itself, and of arrays the first item counts."""
    if not path:
        return value
    if isinstance(value, list):
        return _find_value(value[0], path) if value else None
    for name, inner in value.items() if isinstance(value, dict) else ():
        if path == name or path.startswith(f"{name}."):
            found = _find_value(inner, path[len(name) + 1 :])
            if found is not None:
                return found
    return None


def _read_text(raw: Raw | None) -> str:
    return _write_text(_decode(raw))


def _write_text(value: Any) -> str:  # noqa: ANN401  # any JSON value
    """Return a value as an id: a number as it is written, of several the first, and of an object nothing."""
    if isinstance(value, list):
        return _write_text(value[0]) if value else ""
    if value is None or isinstance(value, dict):
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


__all__ = ["ObjectIds", "request_ids"]
