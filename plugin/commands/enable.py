"""`twinrank enable` and `disable`, and settings as `NAME=VALUE`."""

import copy
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from opensearch.client import OpenSearchClient
from opensearch.index.enable import EnableRequest, EnableResult, disable, enable
from opensearch.index.strip import check_strip, count_vectors, strip
from opensearch.settings.table import META_KEY, SettingsError, encode_settings
from plugin.commands.connection import open_client
from plugin.commands.existing_vectors import choose_existing_vectors
from plugin.commands.language_notes import check_languages, record_languages
from plugin.commands.progress import Show, show_progress
from plugin.commands.status import find_next_step
from plugin.encoding.bundle_defaults import read_defaults
from plugin.options.common import bundle_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

MAX_SHOWN_NEXT = 5
"""Indices whose next step `enable` names: each may take a second or two to measure."""


@click.command("enable")
@click.argument("index")
@click.option("--field", multiple=True, metavar="NAME", help="Field whose text is encoded; repeatable.")
@click.option("--model-name", metavar="NAME", help="Model of the vectors.  [default: the name of --bundle]")
@click.option("--vector-field", metavar="NAME", help="Where vectors are stored.  [default: rerank.vector]")
@click.option(
    "--vectors-from",
    metavar="FIELD",
    help="A knn_vector or semantic field of the index's own, whose vectors are those of --bundle.",
)
@click.option("--window-size", type=int, help="How many first-stage hits are reranked.  [default: 100]")
@click.option("--weight", type=float, help="Weight of the crossing score.  [default: the bundle's]")
@click.option("--set", "more", multiple=True, metavar="NAME=VALUE", help="Any setting: min_coverage=0.9.")
@click.option("--dry-run", is_flag=True, help="Check and show what would change, but change nothing.")
@bundle_option
@connection_options
def enable_command(
    index: str,
    bundle_path: Path,
    connecting: Connecting,
    vectors_from: str | None,
    dry_run: bool,
    **given: Any,  # noqa: ANN401
) -> None:
    """Enable reranking for INDEX. Creates the index if it does not exist.

    Settings that are not given keep their values.
    """
    if vectors_from is not None and given["vector_field"] is not None:
        raise click.UsageError(
            "expected one of --vectors-from and --vector-field, found both: the vectors are in the former"
        )
    bundle = Bundle.open(bundle_path)
    settings = _collect_settings(**given)
    with open_client(connecting) as upstream:
        if vectors_from is not None:
            settings |= {"model": bundle.vectors_of}
            settings |= choose_existing_vectors(upstream, index, vectors_from, given["field"], bundle)
        wanted = EnableRequest(given["model_name"] or bundle.vectors_of, settings, read_defaults(bundle))
        done = enable(upstream, index, wanted, dry_run=dry_run)
        for enabled in done:
            print_enabled(enabled, word="enabled", dry_run=dry_run)
            if not dry_run:
                record_languages(upstream, enabled.index, enabled.settings, bundle)
            elif (warning := check_languages(upstream, enabled.index, enabled.settings, bundle)) is not None:
                click.echo(f"{enabled.index}: {warning}", err=True)
        if not dry_run:
            _print_next(upstream, [enabled.index for enabled in done], bundle_path)


@click.command("disable")
@click.argument("index")
@click.option("--strip", "strips", is_flag=True, help="Also remove the stored vectors from every document.")
@click.option(
    "--documents-per-s", type=click.FloatRange(min=0.1), help="Rate limit of --strip.  [default: none]"
)
@click.option("--dry-run", is_flag=True, help="Show what would change, but change nothing.")
@connection_options
def disable_command(
    index: str, strips: bool, documents_per_s: float | None, dry_run: bool, connecting: Connecting
) -> None:
    """Disable reranking for INDEX. Its settings stay, and so do its vectors unless you give --strip."""
    with open_client(connecting) as upstream:
        if strips:
            check_strip(upstream, index)
        done = disable(upstream, index, dry_run=dry_run)
        for each in done:
            print_enabled(each, word="disabled", dry_run=dry_run)
        left = 0
        for each in done if strips and dry_run else ():
            for field in each.settings.fields:
                count = count_vectors(upstream, each.index, field)
                click.echo(f"{each.index}: {count} vectors would be removed")
        for each in done if strips and not dry_run else ():
            for field in each.settings.fields:
                with show_progress() as show:
                    stripped = strip(
                        upstream,
                        each.index,
                        field,
                        documents_per_s=documents_per_s,
                        progress=partial(_show_progress, show, each.index),
                    )
                click.echo(f"{each.index}: {stripped.removed} vectors removed, {stripped.left} left")
                left += stripped.left
            click.echo(
                f"{each.index}: to rerank it again: twinrank enable {each.index}, then"
                f" twinrank sync {each.index}"
            )
    if left:
        raise click.ClickException(
            f"{left} documents changed while their vectors were being removed. Run the command again"
        )


def _collect_settings(
    field: tuple[str, ...],
    model_name: str | None,
    vector_field: str | None,
    window_size: int | None,
    weight: float | None,
    more: tuple[str, ...],
) -> dict[str, Any]:
    """Return the given options in the form of `_meta.rerank`."""
    settings = {
        "source_fields": field or None,
        "model": model_name,
        "field": vector_field,
        "window_size": window_size,
        "fusion": None if weight is None else {"weight": weight},
    }
    given = {key: value for key, value in settings.items() if value is not None}
    return apply_assignments({"enabled": True} | given, more)


def _print_next(upstream: OpenSearchClient, names: Sequence[str], bundle_path: Path) -> None:
    """Print the next step for each index, as far as this bundle can tell."""
    if len(names) > MAX_SHOWN_NEXT:
        click.echo("next: twinrank status INDEX shows each index's coverage and next step")
        return
    for name in names:
        click.echo(f"{name}: {find_next_step(upstream, name, Bundle.open(bundle_path))}")
    click.echo("To rebuild the index later with its vectors (_reindex, alias swap): docs/how-to/reindex.md")


def print_enabled(enabled: EnableResult, *, word: str, dry_run: bool) -> None:
    """Print what changed in an index, or would change. A dry run shows the mapping change too."""
    click.echo(f"{enabled.index}: {'would be changed' if dry_run else word}")
    for change in enabled.changes or ("nothing to change",):
        click.echo(f"  {change}")
    if dry_run:
        meta = {"_meta": {META_KEY: encode_settings(enabled.settings)}}
        click.echo(f"  PUT /{enabled.index}/_mapping {json.dumps(meta)} (other members of `_meta` stay)")
    for note in enabled.notes:
        click.echo(f"  note: {note}", err=True)
    if enabled.vectors_stale:
        click.echo(
            f"  note: vectors stored before no longer fit; next: twinrank sync {enabled.index}",
            err=True,
        )


def _show_progress(show: Show, index: str, removed: int, total: int) -> None:
    show(f"vectors of {index}", removed, total)


def apply_assignments(settings: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return the settings with the assignments applied. A value is JSON, or else a plain string.

    Raises:
        SettingsError: an assignment without a name or `=`.
    """
    result = copy.deepcopy(dict(settings))
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise SettingsError(f"expected NAME=VALUE such as min_coverage=0.9, found {assignment!r}")
        *sections, key = name.split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise SettingsError(f"expected settings below {section}, found {assignment!r} as well")
        place[key] = _parse_value(text)
    return result


def _parse_value(text: str) -> Any:  # noqa: ANN401  # any JSON value
    try:
        return json.loads(text)
    except ValueError:
        return text
