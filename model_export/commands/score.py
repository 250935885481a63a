"""`twinrank-export score`: how good a teacher is, before a student learns from it.

The command imports what it needs when it runs, so that its help works without torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from model_export.commands.options import BUNDLE, CONFIG, FOLDER
from reranker.bundle import DEFAULT_BUNDLE, Bundle

if TYPE_CHECKING:
    from model_export.train.config import TeacherSection


@click.command("score")
@click.argument("config", type=CONFIG, required=False)
@click.option("--cross-encoder", type=FOLDER, help="a folder, instead of the teacher of CONFIG")
@click.option("--judged", multiple=True, type=FOLDER, help="a BEIR-layout folder; may be given again")
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    type=BUNDLE,
    help="a bundle to compare with, the first of them query by query  [default: the one that comes with it]",
)
@click.option("--queries", default=300, show_default=True, help="how many queries of each collection")
@click.option(
    "--max-tokens",
    type=click.IntRange(8),
    help="of a query and a document together  [default: as CONFIG says, or 256]",
)
@click.option("--int8", is_flag=True, help="compute an ONNX cross-encoder in integers: half the time")
@click.option("--threads", type=click.IntRange(1), help="[default: as CONFIG says, or 1]")
@click.option(
    "--rounds", default=3, show_default=True, type=click.IntRange(1), help="how often times are taken"
)
@click.option("--out", required=True, type=FOLDER, help="a folder for scores and vectors, to go on from")
@click.option("--write", is_flag=True, help="write the tables into --document")
@click.option(
    "--document",
    default="docs/reference/models.md",
    show_default=True,
    type=CONFIG,
    help="what --write changes",
)
@click.option(
    "--summary",
    "summaries",
    multiple=True,
    type=CONFIG,
    help="a document whose section `cost` gets the first table with --write; may be given again",
)
def score_command(
    config: Path | None,
    cross_encoder: Path | None,
    judged: tuple[Path, ...],
    bundles: tuple[Path, ...],
    queries: int,
    max_tokens: int | None,
    int8: bool,
    threads: int | None,
    rounds: int,
    out: Path,
    write: bool,
    document: Path,
    summaries: tuple[Path, ...],
) -> None:
    """Measure a teacher before a student learns from it.

    With --judged: nDCG@10 and times beside BM25 and bundles, by collection, as Markdown tables.
    Without: nDCG@10 on the development queries of CONFIG.
    An interrupted run goes on when the command is run again with the same --out.
    """
    from model_export.data.collection import load_collection
    from model_export.evaluation.section import write_section
    from model_export.evaluation.teacher_table import measure_teacher
    from model_export.train.config import RunSection, read_config
    from model_export.train.run import load_teacher, score_teacher

    read = read_config(config) if config else None
    if read is None and (cross_encoder is None or not judged):
        raise click.UsageError("give CONFIG, or --cross-encoder and --judged")
    section = _choose_teacher(read.teacher if read else None, cross_encoder, max_tokens, int8=int8)
    run = read.run if read else RunSection()
    run = replace(run, threads=threads or run.threads)
    if not judged:
        if read is not None:
            score_teacher(replace(read, teacher=section, run=run), out, click.echo)
        return
    teacher = load_teacher(section, out, run.device, threads=run.threads)
    name = cross_encoder.resolve().name if cross_encoder else "teacher"
    table = measure_teacher(
        name,
        teacher,
        [Bundle.open(path) for path in bundles or (DEFAULT_BUNDLE,)],
        [load_collection(folder, queries) for folder in judged],
        out,
        rounds=rounds,
        say=lambda line: click.echo(line, err=True),
    )
    lines = list(table.format())
    if write:
        write_section(document, "teacher", lines)
        for summary in summaries:
            write_section(summary, "cost", table.format_summary())
    click.echo("\n".join([*table.format_summary(), "", *lines]))


def _choose_teacher(
    configured: "TeacherSection | None", cross_encoder: Path | None, max_tokens: int | None, *, int8: bool
) -> "TeacherSection":
    """Return the teacher of the configuration, with what the options change of it."""
    from model_export.train.config import TeacherSection

    section = configured or TeacherSection()
    if cross_encoder is not None:
        section = replace(section, encoders=(), cross_encoders=(str(cross_encoder),))
    return replace(section, max_tokens=max_tokens or section.max_tokens, int8=int8 or section.int8)
