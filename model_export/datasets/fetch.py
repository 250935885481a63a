"""Public collections made ready: fetched, converted, checked, and written in BEIR's layout."""

from collections.abc import Callable, Mapping
from pathlib import Path

from model_export.datasets import answers, archives, classic
from model_export.datasets.catalogue import Dataset
from model_export.datasets.converted import Converted, write
from model_export.datasets.download import PAUSE_S, download
from model_export.errors import ExportError

DOWNLOADS = ".downloads"
"""Where upstream files lie, a folder a collection, below the folder of the collections."""

Converter = Callable[[Path], Converted]

CONVERTERS: Mapping[str, Converter] = {
    "cacm": classic.convert_cacm,
    "cranfield": classic.convert_cranfield,
    "epqa": answers.convert_epqa,
    "homedepot": archives.convert_homedepot,
    "natural_questions": answers.convert_natural_questions,
    "nfcorpus": archives.convert_nfcorpus,
    "npl": classic.convert_npl,
    "squad2": answers.convert_squad2,
    "trecqa": answers.convert_trecqa,
    "wikiqa": answers.convert_wikiqa,
}
"""Each format of the catalogue, and what converts a folder of upstream files."""


def fetch(
    datasets: Mapping[str, Dataset], out: Path, report: Callable[[str], None], pause_s: float = PAUSE_S
) -> None:
    """Fetch each collection into a folder of its own below `out`; those that are there already stay.

    Every collection is tried, whatever happens to the others.

    Raises:
        ExportError: some of them could not be had; the message has a line for each.
    """
    problems = []
    for name, dataset in datasets.items():
        try:
            _fetch_one(name, dataset, out, report, pause_s)
        except ExportError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ExportError("\n".join(problems))


def _fetch_one(name: str, dataset: Dataset, out: Path, report: Callable[[str], None], pause_s: float) -> None:
    folder = out / name
    if folder.exists():
        report(f"{name}: is in {folder} already")
        return
    report(f"{name}: licence: {dataset.licence}")
    if dataset.format is None:
        raise ExportError(f"this command cannot make it. {dataset.instructions}")
    downloads = out / DOWNLOADS / name
    for part in dataset.parts:
        try:
            download(part, downloads / part.name, pause_s)
        except ExportError as error:
            remedy = f". {dataset.instructions}" if part.url is None else ""
            raise ExportError(f"{error}{remedy}") from error
    write(CONVERTERS[dataset.format](downloads), dataset, folder)
    report(f"{name}: {dataset.counts}, in {folder}")
