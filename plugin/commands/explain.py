"""An explanation as lines for a terminal: what was searched, and what made each hit's rank."""

import json
import math
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from plugin.search.outcome_words import outcome_in_words

_INDENT = " " * 6


def explanation_report(steps: dict[str, Any]) -> Iterator[Text]:
    """Yield the steps of `plugin.search.explain.explain` in words, then the page as it was reordered."""
    yield Text(f"search      {json.dumps(steps['search'], ensure_ascii=False)}")
    for index, report in steps["settings"].items():
        yield Text(f"settings    {index}")
        yield from (
            Text(f"            {name} = {json.dumps(each['value'])}  ({each['from']})")
            for name, each in report["settings"].items()
            if each["from"] != "default"
        )
        yield from (Text(f"wrong       {problem}") for problem in report["problems"])
    yield Text(f"outcome     {steps['rerank_status']}")
    words = outcome_in_words(steps["rerank_status"])
    if words:
        yield Text(f"            {words}")
    yield Text(f"time, ms    {steps['server_timing']}")
    used = steps["used"]
    if used is not None:
        yield Text(f"query text  {used['query_text']}")
        yield Text(f"fusion      {_fusion(used)}")
        yield Text(f"scored      {used['scored']} of {used['window_size']} hits have a usable vector")
    if not steps["hits"]:
        yield Text("No hits: OpenSearch finds nothing for this search.")
    else:
        yield Text("")
    for rank, hit in enumerate(steps["hits"], 1):
        yield from _hit(rank, hit, used)


def _fusion(used: dict[str, Any]) -> str:
    """Return the method with its numbers, and for `log_linear` how a score is added up."""
    numbers = {name: used.get(name) for name in ("weight", "feedback", "smoothing")}
    method = ", ".join([used["fusion"], *(f"{name} {value:g}" for name, value in numbers.items() if value)])
    if used["fusion"] != "log_linear":
        return method
    return f"{method}; a score is the sum of its parts, the first being the logarithm of OpenSearch's"


def _hit(rank: int, hit: dict[str, Any], used: dict[str, Any] | None) -> Iterator[Text]:
    scored = hit["rerank"]
    place = scored["rank"] if scored else rank
    line = Text(f"{place:>3}  {_move(scored)}  ", no_wrap=True, overflow="ellipsis")
    yield line.append(f"{hit['_id']}  ", "bold").append(hit.get("text", ""))
    if scored and used:
        parts = _log_linear(scored, used) if used["fusion"] == "log_linear" else _plain(scored)
        yield Text(_INDENT + "   ".join(parts), style="dim")


def _move(scored: dict[str, Any] | None) -> str:
    """Return where the hit stood in the first stage, in a column of fixed width."""
    if scored is None or scored["rank"] == scored["first_stage_rank"]:
        return f"{'=':<11}"
    moved = scored["first_stage_rank"] - scored["rank"]
    return f"{'↑' if moved > 0 else '↓'}{abs(moved)} (was {scored['first_stage_rank']})".ljust(11)


def _log_linear(scored: dict[str, Any], used: dict[str, Any]) -> Iterator[str]:
    """Yield each part's share of the score: their sum orders the hits.

    `fused` is first stage x exp(weight x (1 + crossing + feedback x (1 + similarity))), smoothed. Its
    logarithm is a sum; what is the same for every hit is left out.
    """
    weight, feedback = used["weight"] or 0.0, used.get("feedback") or 0.0
    constant = weight * (1 + feedback)
    first, fused = _log(scored["first_stage_score"]), _log(scored["fused"])
    crossing, similarity = scored["crossing"], scored.get("similarity")
    own = first
    yield f"first stage {scored['first_stage_score']:.3f} → {first:.2f}"
    if crossing is None:
        yield "no vector: crossing is the window's median"
    else:
        own += weight * crossing
        yield f"crossing {crossing:.3f} → {weight * crossing:+.2f}"
    if similarity is not None:
        share = weight * feedback * similarity
        own += share
        yield f"feedback {similarity:.3f} → {share:+.2f}"
    if crossing is not None and scored.get("neighbours") is not None:
        yield f"smoothing → {fused - constant - own:+.2f}"
    yield f"= {fused - constant:.2f}"


def _plain(scored: dict[str, Any]) -> Iterator[str]:
    """Yield what another method was given, and what it made of it."""
    yield f"first stage {scored['first_stage_score']:.3f} (rank {scored['first_stage_rank']})"
    yield "no vector" if scored["crossing"] is None else f"crossing {scored['crossing']:.3f}"
    if scored.get("similarity") is not None:
        yield f"feedback {scored['similarity']:.3f}"
    if scored.get("neighbours") is not None:
        yield f"neighbours {scored['neighbours']:.3f}"
    yield f"= {scored['fused']:.4f}"


def _log(value: float) -> float:
    """Return the logarithm; a score of 0 has none, and stays below every other."""
    return math.log(value) if value > 0 else -math.inf
