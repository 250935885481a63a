"""`twinrank explain`: what was searched, and what made each hit's rank, as lines for a terminal."""

import json
import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import click
from rich.text import Text

from opensearch.index.settings_report import report_settings
from opensearch.settings.layers import Defaults
from plugin.commands.connection import open_client
from plugin.commands.terminal import make_console
from plugin.compare.outcome_words import describe_status
from plugin.compare.score_parts import ScoreParts, find_score_parts
from plugin.encoding.bundle_defaults import read_defaults
from plugin.encoding.model import Model
from plugin.options.common import bundle_option, combiner_option, json_option, settings_file_option
from plugin.options.search_argument import DEFAULT_SIZE, body_option, read_search, set_size, size_option
from plugin.options.upstream import connection_options
from plugin.search.explain import Asked, explain, search_handler
from plugin.server.combiner_files import read_combiners
from plugin.settings.cache import SettingsCache
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

_INDENT = " " * 6


@click.command("explain")
@click.argument("index")
@click.argument("text", required=False)
@body_option
@size_option
@settings_file_option
@json_option
@bundle_option
@combiner_option
@connection_options
def explain_command(
    index: str,
    text: str | None,
    body: IO[bytes] | None,
    size: int | None,
    defaults: Defaults,
    as_json: bool,
    bundle_path: Path,
    combiners: tuple[Path, ...],
    connecting: Connecting,
) -> None:
    """Show step by step how a search for TEXT in INDEX is reranked.

    A TEXT that begins with { is the body of a search. A hit is shown by its first source field, with what
    each part adds to its score.
    """
    given, words = read_search(text, body)
    asked = Asked(index, set_size(given, size) if given is not None else None, words, size or DEFAULT_SIZE)
    bundle = Bundle.open(bundle_path)
    with open_client(connecting) as client:
        reports = report_settings(client, index, defaults, read_defaults(bundle))
    with closing(connecting.upstream()) as upstream:
        settings = SettingsCache(upstream, defaults=defaults, waits_for_coverage=True)
        model = Model.load(bundle, combiners=read_combiners(combiners))
        handler = search_handler(upstream, settings, model)
        steps = explain(handler, settings, connecting.credentials, asked, reports)
    if as_json:
        click.echo(json.dumps(steps))
        return
    console = make_console()
    for part in format_explanation(steps):
        console.print(part, markup=False)


def format_explanation(steps: dict[str, Any]) -> Iterator[Text]:
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
    words = describe_status(steps["rerank_status"])
    if words:
        yield Text(f"            {words}")
    yield Text(f"time, ms    {steps['server_timing']}")
    used = steps["used"]
    if used is not None:
        yield Text(f"query text  {used['query_text']}")
        yield Text(f"fusion      {_format_fusion(used)}")
        yield Text(f"scored      {used['scored']} of {used['window_size']} hits have a usable vector")
    if not steps["hits"]:
        yield Text("No hits: OpenSearch finds nothing for this search.")
    else:
        yield Text("")
    for rank, hit in enumerate(steps["hits"], 1):
        yield from _format_hit(rank, hit, used)


def _format_fusion(used: dict[str, Any]) -> str:
    """Return the method with its parameters, and for `log_linear` how the score adds up."""
    numbers = {name: used.get(name) for name in ("weight", "feedback", "smoothing")}
    method = ", ".join([used["fusion"], *(f"{name} {value:g}" for name, value in numbers.items() if value)])
    if used["fusion"] == "combiner":
        return f"{method} {used['combiner']}"
    if used["fusion"] != "log_linear":
        return method
    return f"{method}; a score is the sum of its parts, the first being the logarithm of OpenSearch's"


def _format_hit(rank: int, hit: dict[str, Any], used: dict[str, Any] | None) -> Iterator[Text]:
    scored = hit["rerank"]
    place = scored["rank"] if scored else rank
    line = Text(f"{place:>3}  {_format_move(scored)}  ", no_wrap=True, overflow="ellipsis")
    yield line.append(hit.get("title", hit["_id"]), "bold")
    if "pinned" in hit:
        yield Text(f"{_INDENT}pinned to place {hit['pinned']} by a rule", style="dim")
    if scored and used:
        parts = find_score_parts(scored, used)
        described = _format_shares(scored, parts) if parts.shares else _format_plain(scored)
        named = [f"_id {hit['_id']}"] if "title" in hit else []
        yield Text(_INDENT + "   ".join([*named, *described]), style="dim")


def _format_move(scored: dict[str, Any] | None) -> str:
    """Return the hit's move and its rank in the first stage, in a column of fixed width."""
    if scored is None or scored["rank"] == scored["first_stage_rank"]:
        return f"{'=':<11}"
    moved = scored["first_stage_rank"] - scored["rank"]
    return f"{'↑' if moved > 0 else '↓'}{abs(moved)} (was {scored['first_stage_rank']})".ljust(11)


def _format_shares(scored: dict[str, Any], parts: ScoreParts) -> Iterator[str]:
    """Yield each part's share of the score: their sum orders the hits."""
    shares, crossing = parts.shares, scored["crossing"]
    yield f"first stage {scored['first_stage_score']:.3f} → {shares['first_stage']:.2f}"
    if crossing is not None:
        yield f"crossing {crossing:.3f} → {shares['crossing']:+.2f}"
    elif "crossing" in shares:
        yield f"no vector: the window's median → {shares['crossing']:+.2f}"
    if "feedback" in shares:
        yield f"feedback {scored['similarity']:.3f} → {shares['feedback']:+.2f}"
    if "smoothing" in shares:
        yield f"smoothing → {shares['smoothing']:+.2f}"
    for each in scored.get("signals", ()):
        value = "no value" if each["value"] is None else f"{each['value']:g}"
        yield f"signal {each['field']} {value} → {math.log(each['factor']):+.2f}"
    for each in scored.get("rules", ()):
        yield f"{each['kind']} of rule {each['rule']} → {math.log(each['factor']):+.2f}"
    yield f"= {parts.total:.2f}"
    before = scored.get("rank_before_diversity", scored["rank"])
    if before != scored["rank"]:
        yield f"rank before diversity: {before}"
    if scored.get("exact"):
        yield "first: an exact match"
    if scored.get("demoted"):
        yield f"demoted: probability {scored['probability']:.3f}"


def _format_plain(scored: dict[str, Any]) -> Iterator[str]:
    """Yield the inputs and the result of another fusion method."""
    yield f"first stage {scored['first_stage_score']:.3f} (rank {scored['first_stage_rank']})"
    yield "no vector" if scored["crossing"] is None else f"crossing {scored['crossing']:.3f}"
    if scored.get("similarity") is not None:
        yield f"feedback {scored['similarity']:.3f}"
    if scored.get("neighbours") is not None:
        yield f"neighbours {scored['neighbours']:.3f}"
    yield f"= {scored['fused']:.4f}"
