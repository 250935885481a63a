"""The table of public collections: where each comes from, its licence, and what must be in it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec

from model_export.errors import ExportError

CATALOGUE = Path(__file__).parent / "catalogue.toml"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of an upstream source.

    `checksum` is `sha256:HEX`, or `git:HEX`: the name that Git gives to the file's content. Without a `url`
    the file cannot be fetched, and its user has to put it in place.
    """

    name: str
    checksum: Annotated[str, msgspec.Meta(pattern=r"^(sha256:[0-9a-f]{64}|git:[0-9a-f]{40})$")]
    url: str | None = None


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much a collection must hold once it is converted."""

    documents: int = 0
    queries: int = 0
    judgements: int = 0
    pairs: int = 0

    def __str__(self) -> str:
        """Say it as `documents: 1,400, queries: 225`."""
        held = msgspec.structs.asdict(self)
        return ", ".join(f"{name}: {number:,}" for name, number in held.items() if number)


class Dataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One collection.

    Without a `format` it cannot be converted, and `instructions` say how to make it.
    """

    about: str
    licence: str
    source: str
    format: str | None = None
    instructions: str = ""
    parts: tuple[Part, ...] = ()
    counts: Counts = Counts()

    @property
    def is_automatic(self) -> bool:
        """Whether it can be had without work by hand."""
        return self.format is not None and all(part.url for part in self.parts)


def read_catalogue(file: Path = CATALOGUE) -> dict[str, Dataset]:
    """Read the table: the collections by name, in the table's order.

    Raises:
        ExportError: the file cannot be read, or is not as `Dataset` says.
    """
    try:
        datasets = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), dict[str, Dataset])
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ExportError(f"expected a table of collections in {file}, found: {error}") from error
    for name, dataset in datasets.items():
        _check_names(file, name, dataset)
    return datasets


def choose(catalogue: Mapping[str, Dataset], names: tuple[str, ...]) -> dict[str, Dataset]:
    """Return the collections of these names.

    Raises:
        ExportError: there is no such collection.
    """
    unknown = [name for name in names if name not in catalogue]
    if unknown:
        raise ExportError(f"expected one of {', '.join(catalogue)}, found {', '.join(unknown)}")
    return {name: catalogue[name] for name in names}


def _check_names(file: Path, name: str, dataset: Dataset) -> None:
    for each in (name, *(part.name for part in dataset.parts)):
        if PurePosixPath(each).name != each:
            raise ExportError(f"{file}: expected a name without folders, found {each!r}")
