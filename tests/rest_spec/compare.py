"""Whether two runs of a test found the same: outcomes, statuses, and, where asked, whole answers."""

import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from tests.rest_spec.call import Answer
from tests.rest_spec.run import Outcome

Json = Any

VOLATILE = frozenset({"took", "_scroll_id", "pit_id", "creation_time", "profile"})
"""Keys whose values differ between two runs of one request."""

SEARCHES = frozenset({"search", "msearch", "search_template", "msearch_template"})
READS = SEARCHES | {"scroll", "count", "explain", "get", "get_source", "mget", "exists", "suggest"}
"""APIs whose answers must be equal when reranking is enabled."""


def difference(straight: Outcome, proxied: Outcome) -> str | None:
    """Return how the proxied run differs in what the test said and in any status, None where it does not."""
    if straight.result != proxied.result:
        return f"straight {straight.result!r}, through the proxy {proxied.result!r}"
    for one, other in zip(straight.answers, proxied.answers, strict=True):
        if _seen(one) != _seen(other):
            return f"straight {_seen(one)}, through the proxy {_seen(other)}"
    return None


def reranked_difference(straight: Outcome, proxied: Outcome) -> str | None:
    """Return how answers with reranking differ, but for order and scores of searches that say `applied`."""
    for number, (one, other) in enumerate(zip(straight.answers, proxied.answers, strict=False)):
        if one.status != other.status:
            return f"answer {number}: straight {_seen(one)}, reranked {_seen(other)}: {other.text[:300]}"
        if one.api in READS and one.status == 200 and not _is_same(one, other):
            where = first_difference(_steady(one.body), _steady(other.body))
            return f"answer {number}, {one.api} ({_status(other)}): {where}"
    if _placeless(straight.result) == _placeless(proxied.result) or _is_applied(
        proxied.answers[proxied.failed_after]
    ):
        return None
    return f"straight {straight.result!r}, reranked {proxied.result!r}"


def _is_same(one: Answer, other: Answer) -> bool:
    if not isinstance(one.body, dict):
        return bool(one.text == other.text)
    left, right = one.body, other.body
    if one.api.startswith("msearch"):
        pairs = list(zip(left.get("responses", []), right.get("responses", []), strict=True))
    else:
        pairs = [(left, right)]
    is_applied = _is_applied(other)
    return all(_is_same_search(a, b, is_applied=is_applied) for a, b in pairs)


def _is_same_search(one: Mapping[str, Json], other: Mapping[str, Json], *, is_applied: bool) -> bool:
    if _steady(one) == _steady(other):
        return True
    if not is_applied or "hits" not in one or "hits" not in other:
        return False
    left, right = dict(_steady(one)), dict(_steady(other))
    first, second = _hits(left), _hits(right)
    shared = first.keys() & second.keys()
    rest = left == right and len(first) == len(second)
    # a page that is shorter than what was found holds other hits in another order; the hits of both are equal
    is_whole = len(first) == len(shared) or _is_page_of_more(one)
    return rest and is_whole and all(first[key] == second[key] for key in shared)


def _hits(answer: dict[str, Json]) -> dict[str, Json]:
    """Take the hits out of an answer, by index, id and routing, without their scores."""
    hits = dict(answer["hits"])
    found = hits.pop("hits", [])
    hits.pop("max_score", None)
    answer["hits"] = hits
    return {_key(hit): _without(hit, {"_score", "_explanation"}) for hit in found}


def _key(hit: Mapping[str, Json]) -> str:
    return json.dumps([hit.get(name) for name in ("_index", "_id", "_routing")])


def _without(value: Mapping[str, Json], names: AbstractSet[str]) -> dict[str, Json]:
    return {key: each for key, each in value.items() if key not in names}


def _is_page_of_more(answer: Mapping[str, Json]) -> bool:
    total = answer["hits"].get("total", 0)
    count = total["value"] if isinstance(total, dict) else total
    return bool(count == -1 or count > len(answer["hits"].get("hits", [])))


def _steady(value: Json) -> Json:
    """Return a JSON value without what differs between two runs."""
    if isinstance(value, dict):
        return {
            key: "made by OpenSearch" if key == "_id" and _is_made(each) else _steady(each)
            for key, each in value.items()
            if key not in VOLATILE
        }
    if isinstance(value, list):
        return [_steady(each) for each in value]
    return value


def _placeless(result: str) -> str:
    """Leave out line and column in a body, which OpenSearch names in its warnings: ours is written anew."""
    return re.sub(r"\[\d+:\d+\]", "", result)


def _is_made(document_id: Json) -> bool:
    """Whether an id has the form of those that OpenSearch makes: they differ from run to run."""
    return isinstance(document_id, str) and re.fullmatch(r"[\w-]{20}", document_id) is not None


def _is_applied(answer: Answer) -> bool:
    return _status(answer).startswith("applied") and not _status(answer).startswith("applied=0;")


def _status(answer: Answer) -> str:
    return answer.headers.get("rerank-status", "no Rerank-Status")


def _seen(answer: Answer) -> tuple[object, ...]:
    return answer.api, answer.status, answer.warnings, answer.headers.get("content-type", "")


def first_difference(one: Json, other: Json, path: str = "") -> str:
    """Return the first place where two JSON values differ, with both values; empty where they are equal."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(one[key], other[key], f"{path}.{key}") for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(*each, f"{path}.{n}") for n, each in enumerate(zip(one, other, strict=True))]
    else:
        return "" if one == other else f"{path}: {json.dumps(one)[:400]} != {json.dumps(other)[:400]}"
    return next((found for pair in pairs if (found := first_difference(*pair))), "")
