"""Sections of a Markdown document, `docs/models.md` above all, that commands write between two comments."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from model_export.data.collection import JudgedCollection
from model_export.errors import ExportError
from model_export.evaluation.measures import macro
from model_export.evaluation.plots import write_pareto, write_reliability
from model_export.evaluation.report import calibration, measured, quality_lines
from model_export.evaluation.speed import load_average, processor, speed_lines
from model_export.evaluation.systems import System, as_shipped, first_stage, of_bundle, of_teacher
from model_export.train.teacher import CrossEncoder
from reranker.bundle import Bundle

TEACHER = "cross-encoder"
TEACHER_WEIGHT = 1.0
"""A teacher's logit is in the units of a log: log(BM25) + logit."""


def write_section(document: Path, name: str, lines: Iterable[str]) -> None:
    """Replace what stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->`; the rest stays.

    Raises:
        ExportError: the document or one of the comments is not there.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    try:
        head, rest = document.read_text().split(begin)
        _, tail = rest.split(end)
    except (OSError, ValueError) as error:
        raise ExportError(
            f"expected {begin.strip()} and {end}, once, in {document}, found: {error}"
        ) from error
    document.write_text(head + begin + "\n".join(lines) + "\n" + end + tail)


def write_quality(
    bundles: Sequence[Bundle],
    cross_encoder: Path | None,
    collections: Sequence[JudgedCollection],
    cache: Path,
    document: Path,
) -> str:
    """Measure, write the section and two images beside the document; return the section."""
    systems, references = [first_stage(collections)], list[str]()
    for bundle in bundles:
        scored = of_bundle(bundle, collections, cache)
        systems += [scored, scored.fused(collections)]
        if bundle.manifest.fusion.feedback or bundle.manifest.fusion.smoothing:
            systems.append(as_shipped(scored, bundle, collections, cache))
        references.append(systems[-1].name)
    if cross_encoder is not None:
        teacher = of_teacher(TEACHER, CrossEncoder(cross_encoder), collections, cache, TEACHER_WEIGHT)
        systems += [teacher, teacher.fused(collections)]
        references.insert(0, systems[-1].name)
    lines = list(quality_lines(systems, collections, reference=references[0]))
    images = document.parent / "images"
    _draw(systems, collections, images)
    lines += ["", f"![quality against time]({images.name}/pareto.svg)"]
    lines += [f"![probabilities against judgements]({images.name}/reliability.svg)"]
    lines += ["", f"Times on {processor()}, load {load_average():.1f}."]
    write_section(document, "quality", lines)
    return "\n".join(lines)


def write_speed(bundle: Bundle, threads: int, rounds: int, document: Path) -> str:
    """Measure, write the section; return it."""
    before = load_average()
    lines = list(speed_lines(bundle, threads=threads, rounds=rounds))
    where = f"{processor()}; the load was {before:.1f} before and {load_average():.1f} after the run"
    lines += ["", f"Measured on {where}."]
    write_section(document, "speed", lines)
    return "\n".join(lines)


def _draw(systems: Sequence[System], collections: Sequence[JudgedCollection], images: Path) -> None:
    figures = measured(systems, collections)
    points = [
        (system.name, system.query_ms, macro([each["nDCG@10"] for each in found]))
        for system, found in zip(systems, figures, strict=True)
        if system.query_ms == system.query_ms
    ]
    write_pareto(points, images / "pareto.svg")
    fits = [(system.name, calibration(system, collections)) for system in systems]
    write_reliability([(name, fit) for name, fit in fits if fit is not None], images / "reliability.svg")
