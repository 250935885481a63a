"""Find out whether a request asks for a field by its name, so that the response may show it."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from opensearch.search.request import SearchRequest

_PARAMETERS = ("_source", "_source_includes", "docvalue_fields", "stored_fields")
_KEYS = ("_source", "fields", "docvalue_fields", "stored_fields")


def asks_for(request: SearchRequest, field: str) -> bool:
    """Whether a search names the field, or an object that holds it, without a wildcard."""
    in_body = any(
        _find_names(request.member(key)) & _list_forms(field) for key in _KEYS if key in request.body
    )
    return in_body or asks_in_url(request.parameters, field)


def names_among_fields(request: SearchRequest, field: str) -> bool:
    """Whether a search names the field itself in `fields` or `docvalue_fields`: every hit shows it then."""
    in_body = any(field in _find_names(request.member(key)) for key in ("docvalue_fields", "fields"))
    return in_body or field in request.parameters.get("docvalue_fields", "").split(",")


def finds_other_values(request: SearchRequest, field: str) -> bool:
    """Whether a search asks for a field's values itself: OpenSearch puts those of all forms in one list."""
    names = set().union(*(_find_names(request.member(key)) for key in ("docvalue_fields", "fields")))
    names |= set(request.parameters.get("docvalue_fields", "").split(","))
    return any(fnmatchcase(field, name) for name in names)


def asks_in_url(parameters: Mapping[str, str], field: str) -> bool:
    """Whether parameters name the field, or an object that holds it, without a wildcard."""
    return any(_list_forms(field) & set(parameters.get(name, "").split(",")) for name in _PARAMETERS)


def asks_in_documents(body: object, field: str) -> bool:
    """Whether the body of a `_mget` names the field, or an object that holds it, in one of its documents."""
    documents = body.get("docs") if isinstance(body, dict) else None
    return any(
        _find_names(each.get(key)) & _list_forms(field)
        for each in (documents if isinstance(documents, list) else ())
        if isinstance(each, dict)
        for key in ("_source", "stored_fields")
    )


def _list_forms(field: str) -> set[str]:
    """`a.b.c` -> `a`, `a.b` and `a.b.c`."""
    parts = field.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}


def _find_names(value: object) -> set[str]:
    """Field names in a `_source`, `fields` or `docvalue_fields` value, in any of its forms."""
    match value:
        case str():
            return {value}
        case list():
            return set().union(*map(_find_names, value))
        case {"field": str() as field}:
            return {field}
        case dict():
            return _find_names(value.get("includes", value.get("include")))
        case _:
            return set()
