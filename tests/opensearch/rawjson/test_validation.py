"""Validation against a table: every error names the key, what was expected and what was found."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from opensearch.rawjson.validation import InvalidError, describe_kind, describe_types, validate


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=1, le=9)] = 5
    kind: Literal["a", "b"] | None = None


class Table(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    inner: Inner = msgspec.field(default_factory=Inner)
    words: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    named: dict[str, Inner] = msgspec.field(default_factory=dict)


def refused(value: Any) -> str:  # noqa: ANN401
    with pytest.raises(InvalidError) as raised:
        validate(value, Table, "here", "Mend it")
    text = str(raised.value)
    assert text.startswith("here")
    assert text.endswith(". Mend it")
    return text


def test_what_fits_is_returned() -> None:
    found = validate({"name": "n", "inner": {"size": 9, "kind": "b"}, "words": ["x"]}, Table, "here", "")
    assert found == Table("n", Inner(9, "b"), ("x",))


def test_keys_of_a_setting_by_name_are_anybodys() -> None:
    found = validate({"name": "n", "named": {"any": {"size": 1}}}, Table, "here", "")
    assert found == Table("n", named={"any": Inner(1)})


@pytest.mark.parametrize(("value", "parts"), [
    ({}, ("here.name: expected this setting", "found none")),
    ({"nam": 1}, ("here.nam: expected one of name, inner, words, named", "did you mean `name`?")),
    ({"name": "n", "inner": {"sise": 1}}, ("here.inner.sise", "did you mean `size`?")),
    ({"name": 5}, ("here.name: expected a text", "found 5")),
    ({"name": "n", "inner": {"size": 10}}, ("here.inner.size: expected", "<= 9", "found 10")),
    ({"name": "n", "inner": {"kind": "c"}}, ("here.inner.kind: expected one of a, b", 'found "c"')),
    ({"name": "n", "words": ["x", ""]}, ("here.words", 'found ""')),
    ({"name": "n", "inner": []}, ("here.inner: expected a JSON object", "found []")),
    ([], ("here: expected a JSON object", "found []")),
    (None, ("here: expected a JSON object", "found null")),
])  # fmt: skip
def test_what_does_not_fit(value: object, parts: tuple[str, ...]) -> None:
    text = refused(value)
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (
            "Expected `int | null`, got `str` - at `$.n`",
            "Expected a whole number or null, got a text - at `$.n`",
        ),
        ("`array` of length >= 1", "a list of length >= 1"),
        ("Object missing required field `name`", "Object missing required field `name`"),
    ],
)
def test_types_are_told_describe_types(problem: str, words: str) -> None:
    assert describe_types(problem) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [({}, "a JSON object"), ([], "a list"), ("", "a text"), (1, "a whole number"), (1.5, "a number"),
     (True, "true"), (None, "null")],
)  # fmt: skip
def test_a_value_is_told_describe_types(value: object, words: str) -> None:
    assert describe_kind(value) == words
