"""`rules`: what an editor says about single queries, such as a document that is hidden or raised."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from msgspec import Meta

from opensearch.rawjson.prepared import prepared
from opensearch.rawjson.validation import build_error, validate

MAX_RULES = 200
"""Rules in `_meta.rerank`: OpenSearch keeps a mapping in the cluster state of every node."""

MAX_RULE_BYTES = 64 * 1024
"""Their length as JSON, together."""

MAX_DOCUMENT_RULES = 5_000
"""Rules in the document of `rules_from`."""

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
"""The answer with that document."""

MAX_HIDDEN = 1_000
"""Documents that the rules of one index hide, together."""

MAX_FACTOR = 100.0

MAX_PINS = 100
"""Documents that the rules of one index pin, together: they are asked for by one request."""

MAX_POSITION = 1_000

Identifier = Annotated[str, Meta(min_length=1, max_length=512)]
"""An `_id`: OpenSearch allows 512 bytes."""

_Text = Annotated[str, Meta(min_length=1, max_length=500)]


class RulePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Immutable, and an unknown key is an error."""


class QueryCondition(RulePart, frozen=True):
    """What a query's text is compared with; one of the three."""

    is_: Annotated[_Text | None, Meta(description="The whole text.")] = msgspec.field(name="is", default=None)
    contains: Annotated[_Text | None, Meta(description="Words that follow each other in the text.")] = None
    pattern: Annotated[
        _Text | None,
        Meta(description="The whole text, with `*` for any characters and `?` for one."),
    ] = None

    @property
    def given(self) -> tuple[tuple[str, str], ...]:
        """The kinds that are given, by name, with their texts."""
        values = (("is", self.is_), ("contains", self.contains), ("pattern", self.pattern))
        return tuple((kind, text) for kind, text in values if text is not None)


class RuleCondition(RulePart, frozen=True):
    """When a rule applies: everything that is given must hold. `{}` is every search."""

    query: QueryCondition | None = None
    identifier: Annotated[
        bool | None,
        Meta(
            description="Whether the text is one word with a digit, of letters, digits and `-_./#:+`, such"
            " as a part number."
        ),
    ] = None
    from_: Annotated[
        str | None,
        Meta(description="The first moment: a date such as 2026-01-31, or a date and time; UTC if unsaid."),
    ] = msgspec.field(name="from", default=None)
    until: Annotated[
        str | None, Meta(description="The first moment at which the rule does not apply any more.")
    ] = None


class BoostAction(RulePart, frozen=True):
    """Documents whose score is multiplied or divided by a factor: `ids`, or those with a value."""

    factor: Annotated[float, Meta(ge=1, le=MAX_FACTOR, description="What the score changes by.")]
    ids: Annotated[tuple[Identifier, ...], Meta(description="Documents by `_id`.")] = ()
    term: Annotated[
        dict[str, str | int | bool] | None,
        Meta(description="One field with doc values, and the value that a document must have in it."),
    ] = None


class PinSettings(RulePart, frozen=True):
    """A document at a place of its own."""

    id: Annotated[Identifier, Meta(description="The document's `_id`.")]
    position: Annotated[
        int, Meta(ge=1, le=MAX_POSITION, description="Its place in the result, counted from 1.")
    ]


class RuleAction(RulePart, frozen=True):
    """What a rule does."""

    pin: Annotated[
        tuple[PinSettings, ...],
        Meta(description="Documents at places of their own, if the query finds them."),
    ] = ()
    boost: BoostAction | None = None
    bury: BoostAction | None = None
    hide: Annotated[
        tuple[Identifier, ...], Meta(description="Documents by `_id` that the search does not find.")
    ] = ()
    rerank: Annotated[bool, Meta(description="`false`: the search keeps OpenSearch's order.")] = True


class RuleSettings(RulePart, frozen=True):
    """One rule."""

    then: RuleAction
    when: RuleCondition = RuleCondition()


@prepared
class RuleList(RulePart, frozen=True):
    """The document that `rules_from` names."""

    rules: tuple[RuleSettings, ...]


def parse_rule_list(source: Any, place: str) -> tuple[RuleSettings, ...]:  # noqa: ANN401  # any JSON value
    """Return the rules of such a document, already decoded from JSON; `place` is its name.

    Raises:
        InvalidError: an unknown key, a wrong value, or too many rules.
    """
    remedy = "Correct the document"
    rules = validate(source, RuleList, place, remedy).rules
    if len(rules) > MAX_DOCUMENT_RULES:
        expected = f"at most {MAX_DOCUMENT_RULES} rules"
        raise build_error(f"{place}.rules", expected, str(len(rules)), remedy)
    check_each_rule(rules, f"{place}.rules", remedy)
    return rules


def document_path(rules_from: str) -> str:
    """Return the path of the document that `INDEX/ID` names."""
    index, _, id_ = rules_from.partition("/")
    return f"/{quote(index, safe='')}/_doc/{quote(id_, safe='')}"


def check_rules(rules: Sequence[RuleSettings], place: str, remedy: str) -> None:
    """Check what the parts of each rule demand of each other, and how much all rules are.

    Raises:
        InvalidError: they do not go together, or are too many.
    """
    if len(rules) > MAX_RULES:
        raise build_error(place, f"at most {MAX_RULES} rules", str(len(rules)), remedy)
    num_bytes = len(msgspec.json.encode(rules)) if rules else 0
    if num_bytes > MAX_RULE_BYTES:
        raise build_error(place, f"at most {MAX_RULE_BYTES} bytes of JSON", str(num_bytes), remedy)
    check_each_rule(rules, place, remedy)


def check_each_rule(rules: Sequence[RuleSettings], place: str, remedy: str) -> None:
    """Check what the parts of each rule demand of each other.

    Raises:
        InvalidError: they do not go together.
    """
    for number, rule in enumerate(rules):
        for key, expected, found in (*_find_problems_of_when(rule.when), *_find_problems_of_then(rule.then)):
            raise build_error(f"{place}[{number}].{key}", expected, found[:80], remedy)
    hidden = {each for rule in rules for each in rule.then.hide}
    if len(hidden) > MAX_HIDDEN:
        expected = f"at most {MAX_HIDDEN} hidden documents in all rules"
        raise build_error(place, expected, str(len(hidden)), remedy)
    pinned = {each.id for rule in rules for each in rule.then.pin}
    if len(pinned) > MAX_PINS:
        raise build_error(
            place, f"at most {MAX_PINS} pinned documents in all rules", str(len(pinned)), remedy
        )


def read_moment(text: str) -> float:
    """Return a date, or a date and time, in milliseconds since 1970; UTC if it names no zone.

    Raises:
        ValueError: it is neither.
    """
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp() * 1000


Problem = tuple[str, str, str]
"""A key, what was expected there, and what was found."""


def _find_problems_of_when(when: RuleCondition) -> Iterator[Problem]:
    if when.query is not None:
        given = when.query.given
        if len(given) != 1:
            names = ", ".join(kind for kind, _ in given) or "none"
            yield "when.query", "one of `is`, `contains` and `pattern`", names
        for kind, text in given:
            if not text.strip():
                yield f"when.query.{kind}", "a text", repr(text)
    moments = {}
    for key, date in (("from", when.from_), ("until", when.until)):
        try:
            moments[key] = None if date is None else read_moment(date)
        except (ValueError, OverflowError):
            yield f"when.{key}", "a date such as 2026-01-31, or 2026-01-31T08:00:00Z", repr(date)
    first, end = moments.get("from"), moments.get("until")
    if first is not None and end is not None and end <= first:
        yield "when.until", f"a moment after `from`, {when.from_}", f"{when.until}"


def _find_problems_of_then(then: RuleAction) -> Iterator[Problem]:
    if then == RuleAction():
        yield "then", "something to do: `pin`, `boost`, `bury`, `hide` or `rerank: false`", "nothing"
    ids = [each.id for each in then.pin]
    for number, each in enumerate(ids):
        if each in ids[:number]:
            yield f"then.pin[{number}].id", "another document than the pins before it", repr(each)
    for key, action in (("boost", then.boost), ("bury", then.bury)):
        if action is None:
            continue
        if bool(action.ids) == (action.term is not None):
            yield f"then.{key}", "either `ids` or `term`", "both" if action.ids else "neither"
        term: dict[str, Any] = {} if action.term is None else action.term
        if action.term is not None and len(term) != 1:
            yield f"then.{key}.term", "one field with its value", str(len(term))
        for name in term:
            if not name or "*" in name or "?" in name:
                yield f"then.{key}.term", "the name of one field", repr(name)
