"""A model bundle: a folder with a manifest, two encoders, a tokeniser and a crossing layer."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from reranker import manifest as manifests
from reranker.crossing import Cosine, Crossing, Residual
from reranker.encoder import DocumentEncoder, Encoder, QueryEncoder, Tokeniser
from reranker.errors import EXPORT_AGAIN, BundleError, LanguageError
from reranker.languages import ReadableScripts
from reranker.manifest import CosineParameters, Manifest
from reranker.tokens import MAX_CHARS_PER_TOKEN, Tokens
from reranker.tri_letters import TriLetters

BUNDLES = Path(__file__).parent / "bundles"
DEFAULT_BUNDLE = BUNDLES / "bge-small-en-v1.5"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are all there and intact; encoders are loaded on request."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path = DEFAULT_BUNDLE) -> "Bundle":
        """Read the manifest in `path` and check every file against its checksum.

        Raises:
            BundleError: no such folder, no or a wrong manifest, a file missing or changed.
        """
        bundle = cls(path, manifests.parse(_read(path / manifests.FILE_NAME), str(path)))
        bundle._check_names()
        bundle.load_scripts()  # an unknown language is an error now, not at the first search
        for name, expected in bundle.manifest.checksums.items():
            _check_digest(path / name, expected)
        return bundle

    @property
    def name(self) -> str:
        """The bundle's name, as `Rerank-Status` and the settings show it."""
        return self.manifest.name

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
        encoder = self._open_encoder(tower.file, threads=threads)
        return QueryEncoder(encoder, self._open_tokeniser(tower.max_tokens, tower.prefix))

    def load_document_encoder(self, *, threads: int) -> DocumentEncoder:
        """Load the document tower.

        Raises:
            BundleError: ONNX Runtime or the tokeniser refuses a file.
        """
        tower = self.manifest.document
        encoder = self._open_encoder(tower.file, threads=1)
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
            self.path / given.file,
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

    def _open_tokeniser(self, max_tokens: int, prefix: str) -> Tokeniser:
        kind = TriLetters if self.manifest.input == "tri_letters" else Tokens
        return kind(self.path / self.manifest.tokenizer, max_tokens=max_tokens, prefix=prefix)

    def _open_encoder(self, file: str, threads: int) -> Encoder:
        encoder = Encoder(self.path / file, threads=threads)
        if encoder.takes_trigrams != (self.manifest.input == "tri_letters"):
            found = "trigrams" if encoder.takes_trigrams else "word pieces"
            raise BundleError(
                f"{self.path / file}: expected a graph for {self.manifest.input}, found one for {found}."
                f" {EXPORT_AGAIN}"
            )
        if encoder.dim != self.manifest.dim:
            raise BundleError(
                f"{self.path / file}: expected dim {self.manifest.dim}, found {encoder.dim}. {EXPORT_AGAIN}"
            )
        return encoder

    def _check_names(self) -> None:
        """Every file that the manifest uses has a checksum: nothing is read unchecked."""
        manifest = self.manifest
        names = [manifest.query.file, manifest.document.file, manifest.tokenizer, manifest.canonical]
        if not isinstance(manifest.crossing, CosineParameters):
            names.append(manifest.crossing.file)
        for name in names:
            if name not in manifest.checksums:
                raise BundleError(
                    f"{self.path}: expected a checksum of {name} in the manifest, found none. {EXPORT_AGAIN}"
                )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BundleError(
            f"expected the bundle's file {file}, found: {error.strerror}."
            " Check the path, or restore the folder from the release"
        ) from error


def _check_digest(file: Path, expected: str) -> None:
    found = hashlib.sha256(_read(file)).hexdigest()
    if found != expected:
        raise BundleError(
            f"{file}: expected SHA-256 {expected}, found {found}: the file was changed or damaged."
            f" {EXPORT_AGAIN}"
        )
