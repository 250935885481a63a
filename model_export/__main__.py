"""The exporter's command line: `python -m model_export`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec

from model_export.base import load
from model_export.bundle_writer import Choices, Precision, compare_bundle, export
from model_export.calibrate import Measured, calibrated, ndcg_by_weight
from model_export.collection import read
from model_export.cosines import document_vectors, hit_cosines
from model_export.errors import ExportError
from model_export.evaluation.feedback import feedback_lines
from model_export.evaluation.section import write_section
from model_export.evaluation.sections import write_quality, write_speed
from model_export.manifest_writer import write_manifest
from model_export.reduce import reduced, rotation, sampled_vectors, size_lines
from model_export.table import candidates_of
from model_export.table import lines as table_lines
from model_export.train import base_changes, run
from model_export.train.config import read_config, read_teacher_config
from reranker.bundle import Bundle
from reranker.errors import RerankerError
from reranker.fusion import MAX_FEEDBACK
from reranker.printable import make_printable

CONFIG = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


class _Commands(click.Group):
    """Shows this project's errors as one line, without a trace."""

    def main(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  # click's own signature
        """Run the command line on outputs that can hold everything."""
        make_printable(sys.stdout, sys.stderr)
        return super().main(*arguments, **options)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except (ExportError, RerankerError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"max_content_width": 120})
def main() -> None:
    """Turn a trained encoder into a model bundle, and measure it."""


@main.command(name="export")
@click.option("--base", required=True, help="bge-small, minilm, the .jar of bge-small, or a folder")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="the bundle's folder, to be made")
@click.option("--name", help="the bundle's, in place of the base's own")
@click.option("--query-prefix", help="in place of the base's own; may be empty")
@click.option("--precision", type=click.Choice(["int8", "fp32"]), default="int8", show_default=True)
@click.option("--max-mb", default=50, show_default=True, help="largest size of the bundle, in megabytes")
@click.option("--documents-of", type=FOLDER, help="a bundle whose document tower is kept, with its vectors")
@click.option("--whole-beyond", type=int, help="longer queries, in tokens, are left to that bundle's tower")
@click.option("--dim", type=int, help="fewer dimensions, by a rotation fitted on --sample")
@click.option("--sample", type=FOLDER, help="a BEIR-layout folder whose documents the rotation is fitted on")
def export_command(
    base: str,
    out: Path,
    name: str | None,
    query_prefix: str | None,
    precision: Precision,
    max_mb: int,
    documents_of: Path | None,
    whole_beyond: int | None,
    dim: int | None,
    sample: Path | None,
) -> None:
    """Write a bundle, compare it with its base in torch, and fail without a trace beyond the limits."""
    choices = Choices(
        query_prefix=query_prefix,
        precision=precision,
        max_bytes=max_mb * 1_000_000,
        documents_of=Bundle.open(documents_of) if documents_of else None,
        whole_beyond=whole_beyond,
    )
    loaded = load(base)
    loaded = replace(loaded, name=name) if name else loaded
    if dim is not None:
        if sample is None:
            raise click.UsageError("--dim needs --sample, whose documents the rotation is fitted on")
        texts = list(read(sample).documents.values())
        loaded = reduced(loaded, rotation(sampled_vectors(loaded, texts), dim))
    exported = export(loaded, out, choices)
    click.echo(
        f"{out}: {exported.size_bytes} bytes, float32 graph within {exported.exact_difference:.1e} of torch"
    )
    click.echo(str(exported.comparison))


@main.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--base", required=True, help="what the bundle was made from")
def compare(bundle: Path, base: str) -> None:
    """Compare a bundle with its base in torch, on its canonical texts and further ones."""
    click.echo(str(compare_bundle(Bundle.open(bundle), load(base))))


@main.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--pairs", multiple=True, required=True, type=FOLDER, help="one relevant document a query")
@click.option("--judged", multiple=True, type=FOLDER, help="further collections, for the weight alone")
@click.option("--queries", default=300, show_default=True, help="how many queries of each collection")
@click.option("--cache", required=True, type=FOLDER, help="where document vectors are kept")
@click.option(
    "--feedback",
    type=click.FloatRange(0, MAX_FEEDBACK),
    help="what the best hits' vote counts; the weight is fitted beside it  [default: as it is]",
)
@click.option("--smoothing", type=click.FloatRange(0, 1), help="the nearest hits' share, likewise")
def calibrate(
    bundle: Path,
    pairs: tuple[Path, ...],
    judged: tuple[Path, ...],
    queries: int,
    cache: Path,
    feedback: float | None,
    smoothing: float | None,
) -> None:
    """Fit probability, fusion weight and neutral value on BEIR-layout folders; write them in the manifest."""
    opened = Bundle.open(bundle)
    measured = [_measured(opened, folder, queries, cache) for folder in (*pairs, *judged)]
    collections = [data for data, _ in measured]
    given = {"feedback": feedback, "smoothing": smoothing}
    changed = {name: value for name, value in given.items() if value is not None}
    fusion = msgspec.structs.replace(opened.manifest.fusion, **changed)
    by_weight = ndcg_by_weight(opened, collections, fusion, cache)
    found = calibrated(measured[: len(pairs)], measured, by_weight)
    manifest = msgspec.structs.replace(opened.manifest, fusion=fusion)
    write_manifest(bundle, found.applied(manifest, [data.name for data in collections]))
    click.echo(str(found))


@main.command()
@click.option("--base", "bases", multiple=True, required=True, help="an encoder; give it for each bundle")
@click.option("--bundle", "bundles", multiple=True, required=True, type=FOLDER, help="its bundle")
@click.option("--judged", multiple=True, required=True, type=FOLDER, help="a BEIR-layout folder")
@click.option("--queries", default=500, show_default=True, help="how many queries of each collection")
@click.option("--cache", required=True, type=FOLDER, help="where document vectors are kept")
def table(
    bases: tuple[str, ...], bundles: tuple[Path, ...], judged: tuple[Path, ...], queries: int, cache: Path
) -> None:
    """Print quality and query latency of encoders, in float32 and as bundles, as a Markdown table."""
    candidates = [
        candidate
        for base, bundle in zip(bases, bundles, strict=True)
        for candidate in candidates_of(load(base), Bundle.open(bundle), cache)
    ]
    collections = [read(folder, queries) for folder in judged]
    for line in table_lines(candidates, collections, cache):
        click.echo(line)


@main.command()
@click.argument("config", type=CONFIG)
@click.option("--out", required=True, type=FOLDER, help="checkpoints, scores, log, curve, and the model")
def train(config: Path, out: Path) -> None:
    """Train a student as the TOML file CONFIG says; the same command goes on after an interruption."""
    click.echo(f"{run.train(read_config(config), out, click.echo)}: export it with --base")


@main.command()
@click.argument("config", type=CONFIG)
@click.option("--out", required=True, type=FOLDER, help="where scores are kept")
def score(config: Path, out: Path) -> None:
    """Measure the teacher of CONFIG on the development queries, before anything is learned from it."""
    run.score(read_config(config), out, click.echo)


@main.command()
@click.argument("config", type=CONFIG)
@click.option("--out", required=True, type=FOLDER, help="checkpoints, log, curve, and the cross-encoder")
def teacher(config: Path, out: Path) -> None:
    """Fine-tune a cross-encoder on labelled pairs as the TOML file CONFIG says."""
    click.echo(
        f"{run.train_teacher(read_teacher_config(config), out, click.echo)}: name it in cross_encoders"
    )


@main.command()
@click.argument("config", type=CONFIG)
@click.option("--base", required=True, help="whose query tower gets the layer; reads no prefix")
@click.option("--towards", required=True, help="whose vectors, with its query prefix, it shall give")
@click.option("--texts", default=20_000, show_default=True, help="how many queries of CONFIG's data")
@click.option("--out", required=True, type=FOLDER, help="where vectors are kept, and the new base")
def project(config: Path, base: str, towards: str, texts: int, out: Path) -> None:
    """Fit a linear layer behind a query tower that stands for a query prefix, without the prefix's time."""
    found = base_changes.project(read_config(config), base, towards, texts, out, click.echo)
    click.echo(f"{found}: export it with --base")


@main.command()
@click.argument("config", type=CONFIG)
@click.option("--base", required=True, help="whose query prefix is made constant")
@click.option("--texts", default=800, show_default=True, help="how many queries of CONFIG's data")
@click.option("--out", required=True, type=FOLDER, help="the new base")
def prefix(config: Path, base: str, texts: int, out: Path) -> None:
    """Make a query prefix constant in every layer, so that no query has to read it."""
    found = base_changes.prefix(read_config(config), base, texts, out, click.echo)
    click.echo(f"{found}: export it with --base")


@main.command()
@click.option("--bundle", "bundles", multiple=True, required=True, type=FOLDER, help="give it for each")
@click.option("--cross-encoder", type=FOLDER, help="the teacher, for the gain that the others keep")
@click.option("--judged", multiple=True, required=True, type=FOLDER, help="a BEIR-layout folder")
@click.option("--queries", default=300, show_default=True, help="how many queries of each collection")
@click.option("--cache", required=True, type=FOLDER, help="where vectors and scores are kept")
@click.option("--document", default="docs/models.md", show_default=True, type=CONFIG)
def evaluate(
    bundles: tuple[Path, ...],
    cross_encoder: Path | None,
    judged: tuple[Path, ...],
    queries: int,
    cache: Path,
    document: Path,
) -> None:
    """Measure bundles and the teacher, and write the quality section of the document, with its images."""
    collections = [read(folder, queries) for folder in judged]
    opened = [Bundle.open(path) for path in bundles]
    click.echo(write_quality(opened, cross_encoder, collections, cache, document))


@main.command()
@click.option("--bundle", required=True, type=FOLDER)
@click.option("--judged", multiple=True, required=True, type=FOLDER, help="a BEIR-layout folder")
@click.option("--sample", required=True, type=FOLDER, help="a further one, for the rotation")
@click.option("--dims", default=(384, 256, 128), show_default=True, multiple=True, type=int)
@click.option("--queries", default=300, show_default=True, help="how many queries of each collection")
@click.option("--cache", required=True, type=FOLDER, help="where vectors are kept")
@click.option("--document", default="docs/models.md", show_default=True, type=CONFIG)
def sizes(
    bundle: Path,
    judged: tuple[Path, ...],
    sample: Path,
    dims: tuple[int, ...],
    queries: int,
    cache: Path,
    document: Path,
) -> None:
    """Measure what smaller stored vectors lose, and write the sizes section of the document."""
    collections = [read(folder, queries) for folder in judged]
    lines = list(size_lines(Bundle.open(bundle), collections, read(sample, queries), cache, dims))
    write_section(document, "sizes", lines)
    click.echo("\n".join(lines))


@main.command()
@click.option("--bundle", "bundles", required=True, multiple=True, type=FOLDER, help="may be given again")
@click.option("--judged", multiple=True, required=True, type=FOLDER, help="a BEIR-layout folder")
@click.option("--queries", default=300, show_default=True, help="how many queries of each collection")
@click.option("--cache", required=True, type=FOLDER, help="where vectors are kept")
@click.option("--document", default="docs/models.md", show_default=True, type=CONFIG)
def feedback(
    bundles: tuple[Path, ...], judged: tuple[Path, ...], queries: int, cache: Path, document: Path
) -> None:
    """Measure what feedback and smoothing are worth, and write the feedback section of the document."""
    collections = [read(folder, queries) for folder in judged]
    lines = list(feedback_lines([Bundle.open(path) for path in bundles], collections, cache))
    write_section(document, "feedback", lines)
    click.echo("\n".join(lines))


@main.command()
@click.option("--bundle", required=True, type=FOLDER, help="the bundle beside the paper's shapes")
@click.option("--threads", default=1, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--document", default="docs/models.md", show_default=True, type=CONFIG)
def speed(bundle: Path, threads: int, rounds: int, document: Path) -> None:
    """Measure the paper's speed table here, and write the speed section of the document."""
    click.echo(write_speed(Bundle.open(bundle), threads, rounds, document))


def _measured(bundle: Bundle, folder: Path, queries: int, cache: Path) -> Measured:
    data = read(folder, queries)
    vectors = document_vectors(bundle, data, cache, threads=1)
    return data, hit_cosines(data, bundle.query_encoder(), vectors, bundle.crossing())


if __name__ == "__main__":
    main(prog_name="python -m model_export")
