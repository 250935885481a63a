"""Hybrid queries: which search pipeline makes one score of their parts' scores, and which pages they have."""

from typing import Any

import msgspec
from msgspec import Raw

from opensearch.rawjson.lenient_values import read_whole_number
from opensearch.search.request import SearchRequest
from opensearch.settings.search_pipeline import SearchPipeline, Technique, read_pipeline
from opensearch.settings.skip import Skip
from opensearch.settings.target import NO_PIPELINE, Target

_OBJECT = msgspec.json.Decoder(dict[str, Raw])

NOT_COMBINED, NO_DEPTH = "hybrid", "pagination_depth"
"""Why a hybrid query is passed through: nothing makes its parts one list, or it has a first page alone."""


def is_hybrid(request: SearchRequest) -> bool:
    """Return whether the query is a hybrid one: OpenSearch takes `hybrid` at the top alone."""
    return _find_hybrid(request) is not None


def list_undefined(request: SearchRequest, target: Target) -> tuple[str, ...]:
    """Return the pipelines whose definitions decide about a search, but are not known yet.

    Those that an admin allows matter for a hybrid query alone.

    Raises:
        msgspec.DecodeError, RecursionError: the body cannot be read.
    """
    names = tuple(name for name in _list_names(request, target) if name not in target.definitions)
    if not names or is_hybrid(request):
        return names
    return tuple(name for name in names if name not in _list_allowed(target))


def changes_windows(request: SearchRequest, target: Target) -> bool:
    """Return whether a search pipeline would work on a window that is not known to suit windows.

    Raises:
        msgspec.DecodeError, RecursionError: the body cannot be read.
    """
    asked = _find_asked(request)
    if asked is not None and not isinstance(asked, str):
        return not read_pipeline(asked).only_combines
    return any(not suits_windows(target, name) for name in _list_names(request, target))


def suits_windows(target: Target, name: str) -> bool:
    """Return whether a pipeline is allowed by the settings, or only combines the scores of hybrid queries."""
    known = target.definitions.get(name)
    return name in _list_allowed(target) or (known is not None and known.only_combines)


def find_technique(request: SearchRequest, target: Target) -> Technique | None:
    """Return how the scores of a hybrid query were made comparable, None for another query or if unknown.

    Raises:
        msgspec.DecodeError, RecursionError: the body cannot be read.
    """
    if not is_hybrid(request):
        return None
    asked = _find_asked(request)
    if asked is not None and not isinstance(asked, str):
        return read_pipeline(asked).technique
    names = _list_names(request, target)
    return target.definitions.get(names[0], SearchPipeline()).technique if len(names) == 1 else None


def check_hybrid(request: SearchRequest, target: Target) -> str | None:
    """Return why a hybrid query is left to OpenSearch, None if it is not, or if the query is another one.

    Without a pipeline that combines them, its hits are lists of each part with numbers between that are no
    scores. Without `pagination_depth` OpenSearch answers every page but the first with an error.

    Raises:
        msgspec.DecodeError, RecursionError: the body cannot be read.
        NotUnderstoodError: `from` is not a whole number.
    """
    hybrid = _find_hybrid(request)
    if hybrid is None:
        return None
    if not _has_pipeline(request, target):
        return NOT_COMBINED
    if request.from_ == 0:
        return None
    depth = _read_object(hybrid).get("pagination_depth", Raw(b"null"))
    return NO_DEPTH if read_whole_number(msgspec.json.decode(depth)) is None else None


def _has_pipeline(request: SearchRequest, target: Target) -> bool:
    """Return whether one search pipeline works on the search."""
    asked = _find_asked(request)
    if asked is not None and not isinstance(asked, str):
        return True
    return len(_list_names(request, target)) == 1  # several indices with different ones have none


def _find_hybrid(request: SearchRequest) -> Raw | None:
    """Return the body of a hybrid query, None for any other query."""
    query = request.body.get("query", Raw(b""))
    if "q" in request.parameters or b'"hybrid"' not in bytes(query):
        return None
    return _read_object(query).get("hybrid")


def _read_object(raw: Raw) -> dict[str, Raw]:
    """Return the members of a value, none if it is no object."""
    try:
        return _OBJECT.decode(raw)
    except msgspec.ValidationError:
        return {}


def _find_asked(request: SearchRequest) -> Any:  # noqa: ANN401  # a name, or any JSON value as definition
    """Return the pipeline that the request itself names or holds, None if it says nothing."""
    return request.parameters.get("search_pipeline") or request.member("search_pipeline")


def _list_names(request: SearchRequest, target: Target) -> tuple[str, ...]:
    """Return the names of the pipelines that OpenSearch may use: the request's own, or the indices'."""
    asked = _find_asked(request)
    if asked is None:
        return tuple(sorted(target.pipelines))
    return (asked,) if isinstance(asked, str) and asked != NO_PIPELINE else ()


def _list_allowed(target: Target) -> tuple[str, ...]:
    return () if isinstance(target.settings, Skip) else target.settings.pipelines_allowed
