"""Sections of a document, such as docs/reference/models.md, that commands write between two comments."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from model_export.data.collection import JudgedCollection
from model_export.errors import ExportError
from model_export.evaluation.measures import average_collections
from model_export.evaluation.plots import write_pareto, write_reliability
from model_export.evaluation.report import format_quality, measure_calibration, measure_systems
from model_export.evaluation.speed import describe_processor, measure_speed, read_load_average
from model_export.evaluation.systems import (
    System,
    make_first_stage,
    order_as_shipped,
    score_with_bundle,
    score_with_teacher,
)
from model_export.train.cross_encoder import open_cross_encoder
from reranker.bundle import Bundle

IMAGES = "images"
"""The folder of images beside a document."""

TEACHER = "cross-encoder"
TEACHER_WEIGHT = 1.0
"""A teacher's logit is in the units of a log: log(BM25) + logit."""


def write_section(document: Path, name: str, lines: Iterable[str]) -> None:
    """Replace the text between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.

    Raises:
        ExportError: the document cannot be read or written, or does not hold both comments once.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    try:
        head, rest = document.read_text().split(begin)
        _, tail = rest.split(end)
    except (OSError, ValueError) as error:
        raise ExportError(
            f"expected {begin.strip()} and {end}, once, in {document}, found: {error}"
        ) from error
    partial = document.with_name(f".{document.name}-partial")
    try:
        partial.write_text(head + begin + "\n".join(lines) + "\n" + end + tail)
        partial.replace(document)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ExportError(f"expected to write {document}, found: {error}") from error


def write_quality(
    bundles: Sequence[Bundle],
    cross_encoder: Path | None,
    collections: Sequence[JudgedCollection],
    cache: Path,
    document: Path | None,
) -> str:
    """Measure; write the section and two images beside the document, if there is one; return the section."""
    systems, references = [make_first_stage(collections)], list[str]()
    for bundle in bundles:
        scored = score_with_bundle(bundle, collections, cache)
        systems += [scored, scored.fuse(collections)]
        if bundle.manifest.fusion.feedback or bundle.manifest.fusion.smoothing:
            systems.append(order_as_shipped(scored, bundle, collections, cache))
        references.append(systems[-1].name)
    if cross_encoder is not None:
        teacher = score_with_teacher(
            TEACHER, open_cross_encoder(cross_encoder), collections, cache, TEACHER_WEIGHT
        )
        systems += [teacher, teacher.fuse(collections)]
        references.insert(0, systems[-1].name)
    lines = list(format_quality(systems, collections, reference=references[0]))
    lines += ["", f"![quality against time]({IMAGES}/pareto.svg)"]
    lines += [f"![probabilities against judgements]({IMAGES}/reliability.svg)"]
    lines += ["", f"Times on {describe_processor()}, load {read_load_average():.1f}."]
    if document is not None:
        _draw_images(systems, collections, document.parent / IMAGES)
        write_section(document, "quality", lines)
    return "\n".join(lines)


def write_speed(bundle: Bundle, threads: int, rounds: int, document: Path | None) -> str:
    """Measure; write the section, if there is a document; return it."""
    before = read_load_average()
    lines = list(measure_speed(bundle, threads=threads, rounds=rounds))
    load = f"the load was {before:.1f} before and {read_load_average():.1f} after the run"
    lines += ["", f"Measured on {describe_processor()}; {load}."]
    if document is not None:
        write_section(document, "speed", lines)
    return "\n".join(lines)


def _draw_images(systems: Sequence[System], collections: Sequence[JudgedCollection], images: Path) -> None:
    figures = measure_systems(systems, collections)
    points = [
        (system.name, system.query_ms, average_collections([each["nDCG@10"] for each in found]))
        for system, found in zip(systems, figures, strict=True)
        if system.query_ms == system.query_ms
    ]
    write_pareto(points, images / "pareto.svg")
    fits = [(system.name, measure_calibration(system, collections)) for system in systems]
    write_reliability([(name, fit) for name, fit in fits if fit is not None], images / "reliability.svg")
