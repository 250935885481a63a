"""`twinrank-export label`: a teacher's scores of many pairs, kept in a file.

The command imports what it needs when it runs, so that its help works without torch.
"""

from pathlib import Path

import click

from model_export.commands.options import CONFIG, FOLDER


@click.command("label")
@click.argument("config", type=CONFIG)
@click.option(
    "--cross-encoder",
    "cross_encoders",
    multiple=True,
    type=FOLDER,
    help="the teacher, a cross-encoder",
)
@click.option("--encoder", "encoders", multiple=True, help="the teacher, a bundle or base")
@click.option("--out", required=True, type=CONFIG, help="the label file; labels in it are kept")
@click.option("--cache", required=True, type=FOLDER, help="a folder for vectors and scores")
@click.option(
    "--source", "sources", multiple=True, help="label the queries of this source; may be given again"
)
@click.option("--queries", type=click.IntRange(min=1), help="label the first so many queries of the recipe")
@click.option(
    "--max-minutes",
    default=90.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="label as many queries as the teacher can score in this time",
)
@click.option("--int8", is_flag=True, help="compute an ONNX cross-encoder in integers: half the time")
@click.option("--threads", default=2, show_default=True, type=click.IntRange(min=1))
def label_command(
    config: Path,
    cross_encoders: tuple[Path, ...],
    encoders: tuple[str, ...],
    out: Path,
    cache: Path,
    sources: tuple[str, ...],
    queries: int | None,
    max_minutes: float,
    int8: bool,
    threads: int,
) -> None:
    """Let a teacher score the pairs of the recipe CONFIG, into a label file that `train` reads."""
    from model_export.labelling.recipe import read_recipe
    from model_export.train.config import TeacherSection
    from model_export.train.label import LabelLimits, label
    from model_export.train.run import load_teacher

    section = TeacherSection(tuple(encoders), tuple(map(str, cross_encoders)), int8=int8)
    recipe = read_recipe(config)
    teacher = load_teacher(section, cache, "cpu", threads=threads)
    limits = LabelLimits(sources, queries, max_minutes, threads)
    made = label(recipe, teacher, out, cache, limits, click.echo)
    click.echo(f"{out}: {made.header.queries:,} queries of {made.header.candidates} candidates")
