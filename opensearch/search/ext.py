"""Read `ext.rerank` of a search: what one request says about its own reranking."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw

from opensearch.rawjson.prepared import prepared
from opensearch.rawjson.validation import InvalidError, build_error, validate
from opensearch.settings.fusion import FusionControls
from opensearch.settings.table import RerankSettings
from opensearch.settings.validation import check_together

EXT = "ext"
RERANK = "rerank"
_PLACE = f"{EXT}.{RERANK}"
_REMEDY = "Correct the request, or leave the key out"
_MAX_DIGITS = 10
_OBJECT = msgspec.json.Decoder(dict[str, Raw])

MAX_REQUEST_DEADLINE_MS = 10_000
"""The longest deadline that a request may ask for, in milliseconds.

A search that waits holds one of the proxy's threads. The index's setting may be longer.
"""


_PLAIN = (
    "enabled", "window_size", "execution", "score", "deadline_ms", "min_probability", "on_low_probability",
    "diversity", "keep_exact",
)  # fmt: skip
"""Settings that a request replaces as they are."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Immutable, and an unknown key is an error."""


class QueryContext(_Table, frozen=True):
    """The query's text, or its path in the search body: OpenSearch's own form."""

    query_text: str | None = None
    query_text_path: str | None = None


@prepared
class RerankControls(_Table, frozen=True):
    """Everything that a request may say; the index's settings are the rest.

    With `rules` false the index's rules do not apply.
    """

    enabled: bool | None = None
    window_size: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    execution: Literal["sidecar", "cluster"] | None = None
    score: Literal["first_stage", "fused", "probability"] | None = None
    deadline_ms: Annotated[int, Meta(ge=1, le=MAX_REQUEST_DEADLINE_MS)] | None = None
    min_probability: Annotated[float, Meta(ge=0, le=1)] | None = None
    on_low_probability: Literal["demote", "cut"] | None = None
    diversity: Annotated[float, Meta(ge=0, le=1)] | None = None
    keep_exact: tuple[Annotated[str, Meta(min_length=1, max_length=500)], ...] | None = None
    rules: bool | None = None
    fusion: FusionControls = FusionControls()
    query_context: QueryContext = QueryContext()
    explain: bool = False
    features: bool = False

    def apply_to(self, settings: RerankSettings) -> RerankSettings:
        """Return the index's settings as this request has them.

        Raises:
            InvalidError: a value does not go together with the index's own.
        """
        given = {name: getattr(self, name) for name in _PLAIN}
        changed = {name: value for name, value in given.items() if value is not None}
        effective = msgspec.structs.replace(settings, **changed, fusion=settings.fusion.change(self.fusion))
        check_together(effective, _PLACE, _REMEDY)
        return effective

    @property
    def changes_order(self) -> bool:
        """Whether the request sets anything by which its page may differ from other requests' pages."""
        has_own = any(getattr(self, name) is not None for name in (*_PLAIN, "rules"))
        return has_own or self.fusion != FusionControls()

    def query_text(self, body: dict[str, Raw]) -> str | None:
        """Return the text that the request gives, or points to in its body; None if it does neither.

        Raises:
            InvalidError: both, or the path leads to no string.
        """
        text, path = self.query_context.query_text, self.query_context.query_text_path
        place = f"{_PLACE}.query_context"
        if text is not None and path is not None:
            raise build_error(place, "query_text or query_text_path", "both", _REMEDY)
        if path is None:
            return text
        found = _find_value(body, path)
        if not isinstance(found, str):
            raise build_error(f"{place}.query_text_path", f"a string at {path!r}", _describe(found), _REMEDY)
        return found


def take_controls(body: dict[str, Raw]) -> tuple[RerankControls, dict[str, Raw]]:
    """Return a search body's `ext.rerank`, and the body without it; an `ext` that is empty then goes too.

    Raises:
        InvalidError: an unknown key or a wrong value.
        DecodeError: `ext` is not JSON.
    """
    if EXT not in body:
        return RerankControls(), body
    try:
        ext = _OBJECT.decode(body[EXT])
    except msgspec.ValidationError:  # no object: OpenSearch says what it thinks of it
        return RerankControls(), body
    rest = {name: raw for name, raw in body.items() if name != EXT}
    if RERANK not in ext:
        return RerankControls(), body if ext else rest
    controls = validate(msgspec.json.decode(ext[RERANK]), RerankControls, _PLACE, _REMEDY)
    others = {name: value for name, value in ext.items() if name != RERANK}
    return controls, {**rest, EXT: Raw(msgspec.json.encode(others))} if others else rest


def _find_value(body: dict[str, Raw], path: str) -> Any:  # noqa: ANN401  # any JSON value
    """Return the value at a dotted path; a name may hold dots itself, and numbers count in arrays."""
    first, _, rest = path.partition(".")
    return None if first not in body else _find_inside(msgspec.json.decode(body[first]), rest)


def _find_inside(value: Any, path: str) -> Any:  # noqa: ANN401
    if not path:
        return value
    if isinstance(value, list):
        first, _, rest = path.partition(".")
        is_place = first.isdecimal() and len(first) < _MAX_DIGITS and int(first) < len(value)
        return _find_inside(value[int(first)], rest) if is_place else None
    for name, inner in value.items() if isinstance(value, dict) else ():
        if path == name or path.startswith(f"{name}."):
            found = _find_inside(inner, path[len(name) + 1 :])
            if found is not None:
                return found
    return None


def _describe(value: object) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()[:80]


__all__ = ["FusionControls", "InvalidError", "QueryContext", "RerankControls", "take_controls"]
