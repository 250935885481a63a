"""A model bundle's description of itself: the manifest, as a frozen value."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from reranker.errors import EXPORT_AGAIN, BundleError
from reranker.fusion import MAX_FEEDBACK, MAX_WEIGHT

FORMAT = 1
FILE_NAME = "manifest.json"

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
PlainName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
"""A name without folders, fit for a file in the bundle's own folder and for an HTTP header."""
VersionName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*\Z")]
"""A bundle's version, fit for an HTTP header."""
Positive = Annotated[int, Meta(ge=1, le=65535)]
LanguageTag = Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")]
"""A BCP 47 language tag: `en`, `pt-BR`, `sr-Latn`."""


class _Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the manifest: immutable, and a key that this version does not know is an error."""


class TowerSpec(_Frozen, frozen=True):
    """One encoder: its ONNX file, how many tokens it takes, and what is put before each text."""

    file: PlainName
    max_tokens: Positive
    prefix: str = ""


class CosineParameters(_Frozen, frozen=True, tag_field="type", tag="cosine"):
    """The cosine crossing's calibration: probability = sigmoid(scale * cosine + offset)."""

    scale: float
    offset: float


class ResidualParameters(_Frozen, frozen=True, tag_field="type", tag="residual"):
    """The residual crossing: weights, hidden size, calibration: probability = sigmoid(scale * z + offset)."""

    file: PlainName
    hidden: Positive
    scale: float = 1.0
    offset: float = 0.0


CrossingParameters = CosineParameters | ResidualParameters


class SharedFile(_Frozen, frozen=True):
    """A file that another bundle holds: that bundle's name, and the file's name in its folder."""

    bundle: PlainName
    file: PlainName


class FusionDefault(_Frozen, frozen=True, omit_defaults=True):
    """The fusion that the bundle was tuned with.

    `feedback` is the weight of the similarity to the feedback documents, `smoothing` the share of a hit's
    score that its nearest hits have; 0 is none.
    """

    method: Literal["log_linear", "none"]
    weight: Annotated[float, Meta(ge=0, le=MAX_WEIGHT)]
    feedback: Annotated[float, Meta(ge=0, le=MAX_FEEDBACK)] = 0.0
    smoothing: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Manifest(_Frozen, frozen=True):
    """Everything about a bundle but its files.

    `checksums` names every file of the bundle with its SHA-256. `shared` says which of them lie in another
    bundle's folder. `digest` is over every value here but `shared`, so that a bundle is the same wherever its
    files lie. `document_digest` is over what decides a document's vector, so that bundles which share a
    document tower share stored vectors. `neutral_crossing` is a typical crossing score of a first-stage hit.
    `input` is how a text is cut: into word pieces, or into words that are sums of their letter trigrams.
    `vectors_of` names the bundle whose document tower this one has, if that is another's: it serves that
    one's indices.
    Queries of more than `whole_beyond` tokens are read by that bundle's query tower, inside the same graph.
    `languages` are those that the model reads; None: not known, and then no search is passed through for its
    language.
    """

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)]
    name: PlainName
    version: VersionName
    digest: Sha256
    document_digest: Sha256
    dim: Positive
    pooling: str
    query: TowerSpec
    document: TowerSpec
    tokenizer: PlainName
    crossing: CrossingParameters
    fusion: FusionDefault
    neutral_crossing: float
    base: str
    licence: str
    trained_on: tuple[str, ...]
    checksums: dict[PlainName, Sha256]
    canonical: PlainName
    input: Literal["word_pieces", "tri_letters"] = "word_pieces"
    vectors_of: PlainName | None = None
    whole_beyond: Positive | None = None
    languages: Annotated[tuple[LanguageTag, ...], Meta(min_length=1)] | None = None
    shared: dict[PlainName, SharedFile] = msgspec.field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name and version, as `Rerank-Status` shows them and `--bundle` takes them: `NAME@VERSION`."""
        return f"{self.name}@{self.version}"

    @property
    def query_digest(self) -> str:
        """The SHA-256, in hexadecimal, of what decides a query's vector: stored ones are valid with the same.

        It covers the query's limit and prefix, and every file but those that only documents, scores and
        `check` read.
        """
        others = {self.document.file, self.canonical} - {self.query.file}
        if not isinstance(self.crossing, CosineParameters):
            others.add(self.crossing.file)
        files = {name: checksum for name, checksum in self.checksums.items() if name not in others}
        covered = {"files": files, "graph": self.query.file, "input": self.input, "query": self.query}
        return hashlib.sha256(msgspec.json.encode(covered, order="sorted")).hexdigest()


_MANIFEST = msgspec.json.Decoder(Manifest)


def read(folder: Path) -> Manifest:
    """Read the manifest of the bundle in `folder`.

    Raises:
        BundleError: the file cannot be read, or is wrong in a way that `parse` refuses.
    """
    file = folder / FILE_NAME
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BundleError(
            f"expected the bundle's file {file}, found: {error.strerror}."
            " Check the path, or restore the folder from the release"
        ) from error
    return parse(data, str(folder))


def parse(data: bytes, where: str) -> Manifest:
    """Read a manifest.

    Raises:
        BundleError: not JSON, a key missing, unknown or of the wrong type, or the digest does not fit.
    """
    try:
        manifest = _MANIFEST.decode(data)
        found = digest(msgspec.json.decode(data))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(
            f"{where}: expected a bundle manifest of format {FORMAT}, found: {error}. {EXPORT_AGAIN}"
        ) from error
    if found != manifest.digest:
        raise BundleError(
            f"{where}: expected the digest {manifest.digest}, found values that give {found}:"
            f" the manifest was changed or damaged. {EXPORT_AGAIN}"
        )
    return manifest


def digest(values: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hexadecimal, of what a bundle is, as compact sorted JSON.

    That is every value but the digest itself and `shared`: where files lie. Their checksums are covered.
    """
    covered = {name: value for name, value in values.items() if name not in ("digest", "shared")}
    return hashlib.sha256(msgspec.json.encode(covered, order="sorted")).hexdigest()
