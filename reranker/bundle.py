"""A model bundle: a folder with a manifest, two encoders, a tokeniser and a crossing layer."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from reranker import manifest as manifests
from reranker.crossing import Cosine, Crossing
from reranker.encoder import DocumentEncoder, Encoder, QueryEncoder
from reranker.errors import EXPORT_AGAIN, BundleError
from reranker.manifest import Manifest
from reranker.tokens import Tokens

BUNDLES = Path(__file__).parent / "bundles"
DEFAULT_BUNDLE = BUNDLES / "bge-small-en-v1.5"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are all there and whole; encoders are loaded when asked for."""

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
        for name, expected in bundle.manifest.checksums.items():
            _check(path / name, expected)
        return bundle

    @property
    def name(self) -> str:
        """The bundle's name, as `Rerank-Status` and the settings show it."""
        return self.manifest.name

    @property
    def model_tag(self) -> int:
        """The 32-bit tag that marks this document tower's vectors: the first bytes of `document_digest`."""
        return int.from_bytes(bytes.fromhex(self.manifest.document_digest)[:4], "little")

    def query_encoder(self, *, threads: int = 1) -> QueryEncoder:
        """Load the query tower.

        Raises:
            BundleError: ONNX Runtime or the tokeniser refuses a file.
        """
        tower = self.manifest.query
        encoder = self._encoder(tower.file, threads)
        return QueryEncoder(encoder, self._tokens(tower.max_tokens, tower.prefix))

    def document_encoder(self, *, threads: int) -> DocumentEncoder:
        """Load the document tower.

        Raises:
            BundleError: ONNX Runtime or the tokeniser refuses a file.
        """
        tower = self.manifest.document
        encoder = self._encoder(tower.file, threads)
        return DocumentEncoder(encoder, self._tokens(tower.max_tokens, tower.prefix))

    def crossing(self) -> Crossing:
        """Return the crossing layer."""
        return Cosine(self.manifest.crossing.scale, self.manifest.crossing.offset)

    def _tokens(self, max_tokens: int, prefix: str) -> Tokens:
        return Tokens(self.path / self.manifest.tokenizer, max_tokens=max_tokens, prefix=prefix)

    def _encoder(self, file: str, threads: int) -> Encoder:
        encoder = Encoder(self.path / file, threads=threads)
        if encoder.dim != self.manifest.dim:
            raise BundleError(
                f"{self.path / file}: expected dim {self.manifest.dim}, found {encoder.dim}. {EXPORT_AGAIN}"
            )
        return encoder

    def _check_names(self) -> None:
        """Every file that the manifest uses has a checksum: nothing is read unchecked."""
        manifest = self.manifest
        for name in (manifest.query.file, manifest.document.file, manifest.tokenizer, manifest.canonical):
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
            " Check the path given with --bundle, or restore the folder from the release"
        ) from error


def _check(file: Path, expected: str) -> None:
    found = hashlib.sha256(_read(file)).hexdigest()
    if found != expected:
        raise BundleError(
            f"{file}: expected SHA-256 {expected}, found {found}: the file was changed or damaged."
            f" {EXPORT_AGAIN}"
        )
