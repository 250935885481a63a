"""`twinrank-export export`, `copy`, `share`, `compare`, `calibrate` and `table`: from a base to a bundle.

A command imports what it needs when it runs, so that its help works without torch.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from model_export.commands.options import BUNDLE, FOLDER, NEW_FOLDER
from reranker.bundle import Bundle
from reranker.bundle_sizes import describe_sizes
from reranker.fusion import MAX_FEEDBACK

if TYPE_CHECKING:
    from model_export.bundle.writer import Precision
    from model_export.evaluation.calibrate import ScoredCollection


@click.command("export")
@click.option("--base", required=True, help="bge-small, minilm, the .jar of bge-small, or a folder")
@click.option("--out", required=True, type=NEW_FOLDER, help="the bundle's folder, which must not exist")
@click.option("--name", help="the bundle's name, instead of the base's")
@click.option("--query-prefix", help="instead of the base's own; may be empty")
@click.option("--precision", type=click.Choice(["int8", "fp32"]), default="int8", show_default=True)
@click.option("--max-mb", default=50, show_default=True, help="largest size of the bundle, in megabytes")
@click.option(
    "--documents-of",
    type=BUNDLE,
    help="a bundle whose document tower is kept, so that its vectors stay valid",
)
@click.option("--whole-beyond", type=int, help="queries of more tokens are read by that bundle's query tower")
@click.option(
    "--share",
    "share_with",
    multiple=True,
    type=BUNDLE,
    help="a bundle whose files are named, not stored again: beside --out, or one that comes with Twinrank",
)
@click.option("--dim", type=int, help="fewer dimensions, by a rotation fitted on --sample")
@click.option("--sample", type=FOLDER, help="a BEIR-layout folder whose documents the rotation is fitted on")
def export_command(
    base: str,
    out: Path,
    name: str | None,
    query_prefix: str | None,
    precision: "Precision",
    max_mb: int,
    documents_of: Path | None,
    whole_beyond: int | None,
    share_with: tuple[Path, ...],
    dim: int | None,
    sample: Path | None,
) -> None:
    """Write a bundle and compare it with its base in torch; beyond the limits, fail and leave nothing."""
    from model_export.bundle.writer import ExportOptions, export
    from model_export.data.collection import load_collection
    from model_export.model.base import load_base
    from model_export.model.rotation import encode_sample, fit_rotation, reduce_dimensions

    options = ExportOptions(
        query_prefix=query_prefix,
        precision=precision,
        max_bytes=max_mb * 1_000_000,
        documents_of=Bundle.open(documents_of) if documents_of else None,
        whole_beyond=whole_beyond,
        share_with=tuple(Bundle.open(each) for each in share_with),
    )
    loaded = load_base(base)
    loaded = replace(loaded, name=name) if name else loaded
    if dim is not None:
        if sample is None:
            raise click.UsageError("--dim needs --sample, whose documents the rotation is fitted on")
        texts = list(load_collection(sample).documents.values())
        loaded = reduce_dimensions(loaded, fit_rotation(encode_sample(loaded, texts), dim))
    exported = export(loaded, out, options)
    click.echo(
        f"{out}: {exported.size_bytes} bytes, {exported.own_bytes} of them in the folder,"
        f" float32 graph within {exported.exact_difference:.1e} of torch"
    )
    click.echo(str(exported.comparison))


@click.command("copy")
@click.argument("bundle", type=BUNDLE)
@click.option("--out", required=True, type=NEW_FOLDER, help="the copy's folder, which must not exist")
def copy_command(bundle: Path, out: Path) -> None:
    """Copy a bundle with the files that it shares, so that it needs no other bundle."""
    from model_export.bundle.whole_copy import copy_bundle

    click.echo(f"{out}: {describe_sizes(copy_bundle(Bundle.open(bundle), out))}")


@click.command("share")
@click.argument("bundle", type=BUNDLE)
@click.option(
    "--with",
    "others",
    multiple=True,
    required=True,
    type=BUNDLE,
    help="a bundle whose files and tensors are named: beside --out, or one that comes with Twinrank",
)
@click.option("--out", required=True, type=NEW_FOLDER, help="the copy's folder, which must not exist")
def share_command(bundle: Path, others: tuple[Path, ...], out: Path) -> None:
    """Copy a bundle without what other bundles have: it names their files. Vectors stay the same."""
    from model_export.bundle.sharing import share_bundle

    opened = [Bundle.open(other) for other in others]
    click.echo(f"{out}: {describe_sizes(share_bundle(Bundle.open(bundle), opened, out))}")


@click.command("compare")
@click.argument("bundle", type=BUNDLE)
@click.option("--base", required=True, help="what the bundle was made from")
def compare_command(bundle: Path, base: str) -> None:
    """Compare a bundle with its base in torch, on its canonical texts and others."""
    from model_export.bundle.writer import compare_bundle
    from model_export.model.base import load_base

    click.echo(str(compare_bundle(Bundle.open(bundle), load_base(base))))


@click.command("calibrate")
@click.argument("bundle", type=BUNDLE)
@click.option(
    "--pairs",
    multiple=True,
    required=True,
    type=FOLDER,
    help="a BEIR-layout folder with one relevant document a query",
)
@click.option("--judged", multiple=True, type=FOLDER, help="a BEIR-layout folder, for the weight alone")
@click.option("--queries", default=300, show_default=True, help="how many queries of each collection")
@click.option("--cache", required=True, type=FOLDER, help="a folder for document vectors")
@click.option(
    "--kept-queries",
    "kept_alone",
    is_flag=True,
    help="of nq_dev and squad2_dev, use only the queries that are kept from training",
)
@click.option(
    "--feedback",
    type=click.FloatRange(0, MAX_FEEDBACK),
    help="the weight of the best hits; the fusion weight is fitted with it  [default: the bundle's]",
)
@click.option("--smoothing", type=click.FloatRange(0, 1), help="the share of the nearest hits, likewise")
def calibrate_command(
    bundle: Path,
    pairs: tuple[Path, ...],
    judged: tuple[Path, ...],
    queries: int,
    cache: Path,
    kept_alone: bool,
    feedback: float | None,
    smoothing: float | None,
) -> None:
    """Fit probability, fusion weight and neutral value on collections, and write them into the manifest."""
    from model_export.bundle.manifest import write_manifest
    from model_export.evaluation.calibrate import fit_calibration, measure_weights

    opened = Bundle.open(bundle)
    measured = [
        _score_folder(opened, folder, queries, cache, kept_alone=kept_alone) for folder in (*pairs, *judged)
    ]
    collections = [data for data, _ in measured]
    given = {"feedback": feedback, "smoothing": smoothing}
    changed = {name: value for name, value in given.items() if value is not None}
    fusion = msgspec.structs.replace(opened.manifest.fusion, **changed)
    by_weight = measure_weights(opened, collections, fusion, cache)
    found = fit_calibration(measured[: len(pairs)], measured, by_weight)
    manifest = msgspec.structs.replace(opened.manifest, fusion=fusion)
    write_manifest(opened.path, found.apply_to(manifest, [data.name for data in collections]))
    click.echo(str(found))


@click.command("table")
@click.option("--base", "bases", multiple=True, required=True, help="an encoder, one for each bundle")
@click.option("--bundle", "bundles", multiple=True, required=True, type=BUNDLE, help="its bundle")
@click.option("--judged", multiple=True, required=True, type=FOLDER, help="a BEIR-layout folder")
@click.option("--queries", default=500, show_default=True, help="how many queries of each collection")
@click.option("--cache", required=True, type=FOLDER, help="a folder for document vectors")
def table_command(
    bases: tuple[str, ...], bundles: tuple[Path, ...], judged: tuple[Path, ...], queries: int, cache: Path
) -> None:
    """Print quality and query latency of encoders, in float32 and as bundles, as a Markdown table."""
    from model_export.data.collection import load_collection
    from model_export.evaluation.table import list_candidates, measure_encoders
    from model_export.model.base import load_base

    candidates = [
        candidate
        for base, bundle in zip(bases, bundles, strict=True)
        for candidate in list_candidates(load_base(base), Bundle.open(bundle), cache)
    ]
    collections = [load_collection(folder, queries) for folder in judged]
    for line in measure_encoders(candidates, collections, cache):
        click.echo(line)


def _score_folder(
    bundle: Bundle, folder: Path, queries: int, cache: Path, *, kept_alone: bool
) -> "ScoredCollection":
    from model_export.data.collection import load_collection
    from model_export.data.split import select_calibration
    from model_export.evaluation.cosines import encode_hits, score_hits

    data = (
        select_calibration(load_collection(folder), queries)
        if kept_alone
        else load_collection(folder, queries)
    )
    vectors = encode_hits(bundle, data, cache, threads=1)
    return data, score_hits(data, bundle.load_query_encoder(), vectors, bundle.load_crossing())
