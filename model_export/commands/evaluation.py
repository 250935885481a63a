"""`twinrank-export evaluate`, `sizes`, `feedback` and `speed`, which may write docs/reference/models.md.

A command imports what it needs when it runs, so that its help works without torch.
"""

from pathlib import Path

import click

from model_export.commands.options import BUNDLE, CONFIG, FOLDER
from reranker.bundle import Bundle

_write_option = click.option("--write", is_flag=True, help="write the figures into --document")
_document_option = click.option(
    "--document",
    default="docs/reference/models.md",
    show_default=True,
    type=CONFIG,
    help="what --write changes",
)


@click.command("evaluate")
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    required=True,
    type=BUNDLE,
    help="a bundle to measure; may be given again",
)
@click.option("--cross-encoder", type=FOLDER, help="the teacher, whose gain is 100 %")
@click.option("--judged", multiple=True, required=True, type=FOLDER, help="a BEIR-layout folder")
@click.option("--queries", default=300, show_default=True, help="how many queries of each collection")
@click.option("--cache", required=True, type=FOLDER, help="a folder for vectors and scores")
@_write_option
@_document_option
def evaluate_command(
    bundles: tuple[Path, ...],
    cross_encoder: Path | None,
    judged: tuple[Path, ...],
    queries: int,
    cache: Path,
    write: bool,
    document: Path,
) -> None:
    """Measure bundles and the teacher: the quality section of the document, with its images."""
    from model_export.data.collection import load_collection
    from model_export.evaluation.section import write_quality

    collections = [load_collection(folder, queries) for folder in judged]
    opened = [Bundle.open(path) for path in bundles]
    target = document if write else None
    click.echo(write_quality(opened, cross_encoder, collections, cache, target))


@click.command("sizes")
@click.option("--bundle", required=True, type=BUNDLE)
@click.option("--judged", multiple=True, required=True, type=FOLDER, help="a BEIR-layout folder")
@click.option("--sample", required=True, type=FOLDER, help="another BEIR-layout folder, for the rotation")
@click.option("--dims", default=(384, 256, 128), show_default=True, multiple=True, type=int)
@click.option("--queries", default=300, show_default=True, help="how many queries of each collection")
@click.option("--cache", required=True, type=FOLDER, help="a folder for vectors")
@_write_option
@_document_option
def sizes_command(
    bundle: Path,
    judged: tuple[Path, ...],
    sample: Path,
    dims: tuple[int, ...],
    queries: int,
    cache: Path,
    write: bool,
    document: Path,
) -> None:
    """Measure what smaller stored vectors lose: the sizes section of the document."""
    from model_export.data.collection import load_collection
    from model_export.evaluation.section import write_section
    from model_export.evaluation.sizes import measure_sizes

    collections = [load_collection(folder, queries) for folder in judged]
    lines = list(
        measure_sizes(Bundle.open(bundle), collections, load_collection(sample, queries), cache, dims)
    )
    if write:
        write_section(document, "sizes", lines)
    click.echo("\n".join(lines))


@click.command("feedback")
@click.option(
    "--bundle",
    "bundles",
    required=True,
    multiple=True,
    type=BUNDLE,
    help="a bundle to measure; may be given again",
)
@click.option("--judged", multiple=True, required=True, type=FOLDER, help="a BEIR-layout folder")
@click.option("--queries", default=300, show_default=True, help="how many queries of each collection")
@click.option("--cache", required=True, type=FOLDER, help="a folder for vectors")
@_write_option
@_document_option
def feedback_command(
    bundles: tuple[Path, ...],
    judged: tuple[Path, ...],
    queries: int,
    cache: Path,
    write: bool,
    document: Path,
) -> None:
    """Measure what feedback and smoothing gain: the feedback section of the document."""
    from model_export.data.collection import load_collection
    from model_export.evaluation.feedback import measure_feedback
    from model_export.evaluation.section import write_section

    collections = [load_collection(folder, queries) for folder in judged]
    lines = list(measure_feedback([Bundle.open(path) for path in bundles], collections, cache))
    if write:
        write_section(document, "feedback", lines)
    click.echo("\n".join(lines))


@click.command("speed")
@click.option("--bundle", required=True, type=BUNDLE, help="the bundle to compare with the paper's models")
@click.option("--threads", default=1, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@_write_option
@_document_option
def speed_command(bundle: Path, threads: int, rounds: int, write: bool, document: Path) -> None:
    """Measure the paper's speed table on this machine: the speed section of the document."""
    from model_export.evaluation.section import write_speed

    click.echo(write_speed(Bundle.open(bundle), threads, rounds, document if write else None))
