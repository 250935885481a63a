"""What a reranked hit shows of its scores: `_score`, and on request how it came about."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec import Raw

from opensearch.fields.vector_field import Hit
from opensearch.rawjson.style import Style

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class SignalScore:
    """What one signal does to one hit: `value` is NaN if it has none, and the score is times `factor`."""

    field: str
    kind: str
    value: float
    factor: float


@dataclass(frozen=True)
class RuleScore:
    """What a boost or a bury does to one hit: `kind` says which; the score is times `factor`, at least 1.

    `rule` is the rule's place in the settings, counted from 0.
    """

    rule: int
    kind: str
    factor: float


@dataclass(frozen=True)
class HitScores:
    """The scores of one hit of the window.

    `first_stage_rank` counts from 1. `scaled` is the first-stage score as it was fused, if it is one of a
    hybrid query. `crossing` is None if the hit had no usable vector; `neutral` replaced
    it. `similarity` is the one to the feedback documents, None without feedback or without a vector;
    `neighbours` likewise is the mean fused value of the nearest hits. `fused` is as `fused_by` says.
    `is_demoted` says that the probability is below the least one, `is_exact` that a value is the query's
    text. `features` are those of a combiner, None if the search does not ask for them.
    """

    first_stage: float
    first_stage_rank: int
    crossing: float | None
    neutral: float
    fused: float
    probability: float
    fused_by: str
    similarity: float | None = None
    neighbours: float | None = None
    signals: tuple[SignalScore, ...] = ()
    rules: tuple[RuleScore, ...] = ()
    is_demoted: bool = False
    is_exact: bool = False
    rank_before_diversity: int | None = None
    scaled: float | None = None
    features: Mapping[str, float] | None = None


def format_score(value: float) -> Raw:
    """Return a `_score` as OpenSearch writes one: the shortest text of a float32."""
    return Raw(str(np.float32(min(value, _LARGEST))).encode())


def set_score(hit: Hit, value: Raw) -> Hit:
    """Return the hit with another `_score`; a `sort` value, which repeats it, follows."""
    scored = {**hit, "_score": value}
    return {**scored, "sort": Raw(b"[" + bytes(value) + b"]")} if "sort" in hit else scored


def copy_score(hit: Hit, other: Hit) -> Hit:
    """Return the hit with another one's `_score` and `sort`, as they are written there."""
    return {**hit, **{name: other[name] for name in ("_score", "sort") if name in other}}


def add_explanation(hit: Hit, scores: HitScores, style: Style, depth: int) -> Hit:
    """Return the hit with OpenSearch's `_explanation` inside an explanation of the fused value."""
    if "_explanation" not in hit:
        return hit
    crossing = scores.neutral if scores.crossing is None else scores.crossing
    what = "crossing of query and document" if scores.crossing is not None else "neutral crossing: no vector"
    parts = [_build_leaf(crossing, what, style, depth + 2)]
    if scores.similarity is not None:
        parts.append(_build_leaf(scores.similarity, "similarity to the best hits", style, depth + 2))
    if scores.neighbours is not None:
        parts.append(_build_leaf(scores.neighbours, "neighbours: the nearest hits' mean", style, depth + 2))
    parts += [
        _build_leaf(each.factor, f"factor of the signal {each.kind} of {each.field}", style, depth + 2)
        for each in scores.signals
    ]
    parts += [
        _build_leaf(each.factor, f"factor of the {each.kind} of rule {each.rule}", style, depth + 2)
        for each in scores.rules
    ]
    own = style.object(
        {
            "value": format_score(scores.fused),
            "description": _encode_text(f"{scores.fused_by}, of:"),
            "details": style.array([*parts, _indent(hit["_explanation"], style, 2)], depth + 1),
        },
        depth,
    )
    return {**hit, "_explanation": own}


def add_details(hit: Hit, scores: HitScores, rank: int, style: Style, depth: int) -> Hit:
    """Return the hit with a member `_rerank`: its scores and ranks, both counted from 1."""
    details = {
        "rank": Raw(str(rank).encode()),
        "first_stage_rank": Raw(str(scores.first_stage_rank).encode()),
        "first_stage_score": format_score(scores.first_stage),
        **({} if scores.scaled is None else {"scaled_score": _encode_number(scores.scaled)}),
        "crossing": Raw(b"null") if scores.crossing is None else _encode_number(scores.crossing),
        "fused": _encode_number(scores.fused),
        "probability": _encode_number(scores.probability),
    }
    if scores.similarity is not None:
        details["similarity"] = _encode_number(scores.similarity)
    if scores.neighbours is not None:
        details["neighbours"] = _encode_number(scores.neighbours)
    if scores.is_demoted:
        details["demoted"] = Raw(b"true")
    if scores.rank_before_diversity is not None:
        details["rank_before_diversity"] = Raw(str(scores.rank_before_diversity).encode())
    if scores.is_exact:
        details["exact"] = Raw(b"true")
    if scores.signals:
        signals = [_describe_signal(each, style, depth + 2) for each in scores.signals]
        details["signals"] = style.array(signals, depth + 1)
    if scores.features is not None:
        features = {name: Raw(msgspec.json.encode(value)) for name, value in scores.features.items()}
        details["features"] = style.object(features, depth + 1)
    if scores.rules:
        rules = [_describe_rule(each, style, depth + 2) for each in scores.rules]
        details["rules"] = style.array(rules, depth + 1)
    return {**hit, "_rerank": style.object(details, depth)}


def _describe_signal(signal: SignalScore, style: Style, depth: int) -> Raw:
    members = {
        "field": _encode_text(signal.field),
        "kind": _encode_text(signal.kind),
        "value": Raw(msgspec.json.encode(signal.value)) if np.isfinite(signal.value) else Raw(b"null"),
        "factor": _encode_number(signal.factor),
    }
    return style.object(members, depth)


def _describe_rule(rule: RuleScore, style: Style, depth: int) -> Raw:
    members = {
        "rule": Raw(str(rule.rule).encode()),
        "kind": _encode_text(rule.kind),
        "factor": _encode_number(rule.factor),
    }
    return style.object(members, depth)


def _build_leaf(value: float, description: str, style: Style, depth: int) -> Raw:
    members = {
        "value": _encode_number(value),
        "description": _encode_text(description),
        "details": style.array([], depth),
    }
    return style.object(members, depth)


def _indent(raw: Raw, style: Style, levels: int) -> Raw:
    """Return a value indented by that many more levels."""
    return Raw(bytes(raw).replace(b"\n", b"\n" + b"  " * levels)) if style.end else raw


def _encode_number(value: float) -> Raw:
    return Raw(msgspec.json.encode(float(np.float32(value)))) if np.isfinite(value) else Raw(b"null")


def _encode_text(value: str) -> Raw:
    return Raw(msgspec.json.encode(value))
