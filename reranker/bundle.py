"""A model bundle: a folder with a manifest, two encoders, a tokeniser and a crossing layer."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reranker import manifest as manifests
from reranker.crossing import Cosine, Crossing, Residual
from reranker.encoder import DocumentEncoder, Encoder, QueryEncoder, Tokeniser
from reranker.errors import EXPORT_AGAIN, BundleError, LanguageError
from reranker.languages import ReadableScripts
from reranker.manifest import CosineParameters, Manifest
from reranker.shared_files import WHOLE_COPY, locate_files
from reranker.tokens import MAX_CHARS_PER_TOKEN, Tokens
from reranker.tri_letters import TriLetters

BUNDLES = Path(__file__).parent / "bundles"
DEFAULT_BUNDLE = BUNDLES / "bge-small-en-v1.5"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are all there and intact; encoders are loaded on request.

    `files` locates every file that the manifest names: in the bundle's own folder, or in the folder of the
    bundle that it shares the file with.
    """

    path: Path
    manifest: Manifest
    files: Mapping[str, Path]

    @classmethod
    def open(cls, path: Path = DEFAULT_BUNDLE) -> "Bundle":
        """Read the manifest in `path` and check every file against its checksum.

        A shared file is looked for in the bundles beside this one, then in those that come with Twinrank. If
        `path` ends in `@VERSION`, and is not itself a folder, the bundle must have that version.

        Raises:
            BundleError: no such folder, no or a wrong manifest, another version, a file missing or changed.
        """
        path, version = split_version(path)
        manifest = manifests.read(path)
        if version is not None and manifest.version != version:
            raise BundleError(
                f"{path}: expected version {version}, found version {manifest.version}."
                f" Restore that version, or ask for {path.name}@{manifest.version}"
            )
        _check_names(path, manifest)
        bundle = cls(path, manifest, locate_files(path, manifest, BUNDLES))
        bundle.load_scripts()  # an unknown language is an error now, not at the first search
        for name in manifest.checksums:
            bundle._check_digest(name)
        return bundle

    @property
    def name(self) -> str:
        """The bundle's name, as `Rerank-Status` and the settings show it."""
        return self.manifest.name

    @property
    def label(self) -> str:
        """Name and version: `NAME@VERSION`."""
        return self.manifest.label

    @property
    def vectors_of(self) -> str:
        """The name under which an index's settings know its vectors: the bundle's own, or whose tower it has.

        The settings' `model` is this name. The tag still tells vectors of another tower.
        """
        return self.manifest.vectors_of or self.name

    @property
    def max_query_chars(self) -> int:
        """How many characters of a query are read at most."""
        return self.manifest.query.max_tokens * MAX_CHARS_PER_TOKEN

    @property
    def model_tag(self) -> int:
        """The 32-bit tag that marks this document tower's vectors: the first bytes of `document_digest`."""
        return int.from_bytes(bytes.fromhex(self.manifest.document_digest)[:4], "little")

    def load_query_encoder(self, *, threads: int = 1) -> QueryEncoder:
        """Load the query tower.

        Raises:
            BundleError: ONNX Runtime or the tokeniser refuses a file.
        """
        tower = self.manifest.query
        encoder = self.load_encoder(tower.file, threads=threads)
        return QueryEncoder(encoder, self._open_tokeniser(tower.max_tokens, tower.prefix))

    def load_document_encoder(self, *, threads: int) -> DocumentEncoder:
        """Load the document tower.

        Raises:
            BundleError: ONNX Runtime or the tokeniser refuses a file.
        """
        tower = self.manifest.document
        encoder = self.load_encoder(tower.file)
        return DocumentEncoder(encoder, self._open_tokeniser(tower.max_tokens, tower.prefix), threads=threads)

    def load_crossing(self) -> Crossing:
        """Load the crossing layer.

        Raises:
            BundleError: its weights' file is not what the manifest says.
        """
        given = self.manifest.crossing
        if isinstance(given, CosineParameters):
            return Cosine(given.scale, given.offset)
        return Residual.read(
            self.files[given.file],
            dim=self.manifest.dim,
            hidden=given.hidden,
            scale=given.scale,
            offset=given.offset,
        )

    def load_scripts(self) -> ReadableScripts | None:
        """Return the scripts that the model reads; None if the manifest names no languages.

        Raises:
            BundleError: it names a language whose script is not known.
        """
        if self.manifest.languages is None:
            return None
        try:
            return ReadableScripts(self.manifest.languages)
        except LanguageError as error:
            raise BundleError(f"{self.path}: languages: {error}") from error

    def load_encoder(self, file: str, *, threads: int = 1) -> Encoder:
        """Load one graph of the bundle, which takes token ids.

        Raises:
            BundleError: ONNX Runtime refuses the graph, or its input or dimension is not the manifest's.
        """
        graph = self.files[file]
        encoder = Encoder(graph, threads=threads, external_files=self.files if self.manifest.shared else None)
        if encoder.takes_trigrams != (self.manifest.input == "tri_letters"):
            found = "trigrams" if encoder.takes_trigrams else "word pieces"
            raise BundleError(
                f"{graph}: expected a graph for {self.manifest.input}, found one for {found}. {EXPORT_AGAIN}"
            )
        if encoder.dim != self.manifest.dim:
            raise BundleError(
                f"{graph}: expected dim {self.manifest.dim}, found {encoder.dim}. {EXPORT_AGAIN}"
            )
        return encoder

    def _open_tokeniser(self, max_tokens: int, prefix: str) -> Tokeniser:
        kind = TriLetters if self.manifest.input == "tri_letters" else Tokens
        return kind(self.files[self.manifest.tokenizer], max_tokens=max_tokens, prefix=prefix)

    def _check_digest(self, name: str) -> None:
        file, expected = self.files[name], self.manifest.checksums[name]
        found = _hash_file(file)
        if found == expected:
            return
        what = f"{file}: expected SHA-256 {expected}, found {found}: the file was changed or damaged."
        if shared := self.manifest.shared.get(name):
            what = (
                f"{file}: expected SHA-256 {expected} of the file that {self.path} shares, found {found}: the"
                f" bundle {shared.bundle} is another version, or damaged. {WHOLE_COPY}."
            )
        raise BundleError(f"{what} {EXPORT_AGAIN}")


def split_version(path: Path) -> tuple[Path, str | None]:
    """Return a bundle's folder, and the version that `FOLDER@VERSION` pins; None if it pins none."""
    name, at, version = path.name.rpartition("@")
    if not (at and name and version) or path.exists():
        return path, None
    return path.with_name(name), version


def _check_names(path: Path, manifest: Manifest) -> None:
    """Every file that the manifest uses has a checksum: nothing is read unchecked."""
    names = [manifest.query.file, manifest.document.file, manifest.tokenizer, manifest.canonical]
    if not isinstance(manifest.crossing, CosineParameters):
        names.append(manifest.crossing.file)
    for name in (*names, *manifest.shared):
        if name not in manifest.checksums:
            raise BundleError(
                f"{path}: expected a checksum of {name} in the manifest, found none. {EXPORT_AGAIN}"
            )


def _hash_file(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(
            f"expected the bundle's file {file}, found: {error.strerror}."
            " Check the path, or restore the folder from the release"
        ) from error
