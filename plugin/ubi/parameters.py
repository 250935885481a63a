"""A search's `ext.ubi`: what a client says of the query that it sends, in the form of UBI 1.3."""

from typing import Any

import msgspec
from msgspec import Raw

from opensearch.rawjson.prepared import prepared
from opensearch.rawjson.validation import InvalidError, build_error, validate
from opensearch.search.ext import EXT
from opensearch.search.request import NotUnderstoodError, SearchRequest

UBI = "ubi"
_PLACE = f"{EXT}.{UBI}"
_REMEDY = "Correct the request, or leave the key out"


@prepared
class UbiParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The members of `ext.ubi`, all optional.

    Attributes:
        query_id: names the query for later events; None: the proxy makes a UUID.
        user_query: what the user typed.
        client_id: who searches; the unit of experiments.
        application: the application that searches.
        object_id_field: the field, dotted, whose value names a hit; None: `_id`.
        query_attributes: anything else, recorded as strings.
    """

    query_id: str | None = None
    user_query: str | dict[str, Any] | None = None
    client_id: str | None = None
    application: str | None = None
    object_id_field: str | None = None
    query_attributes: dict[str, str | int | float | bool] = {}


_PARAMETERS = msgspec.json.Decoder(UbiParameters)


def take_ubi(search: SearchRequest) -> tuple[Raw | None, SearchRequest]:
    """Return a search's `ext.ubi`, None if it has none, and the search without it.

    An `ext` that is empty then goes too. An `ext` that is no object is left to OpenSearch.
    """
    if b'"ubi"' not in bytes(search.body.get(EXT, b"")):
        return None, search
    try:
        ext = search.ext
    except (NotUnderstoodError, msgspec.DecodeError, RecursionError):
        return None, search
    if UBI not in ext:
        return None, search
    others = {name: raw for name, raw in ext.items() if name != UBI}
    body = {name: raw for name, raw in search.body.items() if name != EXT}
    if others:
        body[EXT] = Raw(msgspec.json.encode(others))
    return ext[UBI], search.with_body(body)


def add_ubi(search: SearchRequest, ubi: Raw) -> SearchRequest:
    """Return a search with this `ext.ubi`, beside the rest of its `ext`."""
    ext = {**search.ext, UBI: ubi}
    return search.with_body({**search.body, EXT: Raw(msgspec.json.encode(ext))})


def read_parameters(ubi: Raw) -> UbiParameters:
    """Return the members of an `ext.ubi`.

    Raises:
        InvalidError: no object, an unknown key, or a value of a wrong type.
    """
    try:
        return _PARAMETERS.decode(ubi)
    except (msgspec.DecodeError, RecursionError):
        return _validate(ubi)  # says what is wrong in words, which takes longer


def _validate(ubi: Raw) -> UbiParameters:
    try:
        value = msgspec.json.decode(ubi)
    except (msgspec.DecodeError, RecursionError) as error:
        raise build_error(_PLACE, "JSON", str(error), _REMEDY) from error
    return validate(value, UbiParameters, _PLACE, _REMEDY)


__all__ = ["InvalidError", "UbiParameters", "add_ubi", "read_parameters", "take_ubi"]
