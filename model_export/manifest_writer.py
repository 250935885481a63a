"""The manifest of a bundle, from its files and its base."""

import hashlib
from pathlib import Path

import msgspec

from model_export.base import Base
from reranker import manifest as manifests
from reranker.manifest import CosineParameters, FusionDefault, Manifest, Tower

QUERY_FILE, DOCUMENT_FILE, WEIGHTS_FILE = "query_encoder.onnx", "document_encoder.onnx", "weights.bin"
TOKENIZER_FILE, CANONICAL_FILE = "tokenizer.json", "canonical.json"
QUERY_TOKENS = 64
"""A query is cut here."""


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of the bundle in `folder`."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / manifests.FILE_NAME).write_bytes(data + b"\n")


def manifest_of(base: Base, query_prefix: str, folder: Path) -> Manifest:
    """Describe the files in `folder`, all of them, as the bundle of `base`."""
    checksums = {file.name: _sha256(file) for file in sorted(folder.iterdir())}
    document = Tower(DOCUMENT_FILE, document_tokens(base))
    return Manifest(
        format=manifests.FORMAT,
        name=base.name,
        version="1",
        digest=manifests.digest(checksums),
        document_digest=_document_digest(checksums, base.pooling, document),
        dim=base.model.config.hidden_size,
        pooling=base.pooling,
        query=Tower(QUERY_FILE, QUERY_TOKENS, query_prefix),
        document=document,
        tokenizer=TOKENIZER_FILE,
        crossing=CosineParameters(scale=base.crossing[0], offset=base.crossing[1]),
        fusion=FusionDefault("log_linear", base.fusion_weight),
        neutral_crossing=base.neutral_crossing,
        base=base.origin,
        licence=base.licence,
        trained_on=base.trained_on,
        checksums=checksums,
        canonical=CANONICAL_FILE,
    )


def document_tokens(base: Base) -> int:
    """Return the most tokens that the base takes."""
    tokens: int = base.model.config.max_position_embeddings
    return tokens


def _document_digest(checksums: dict[str, str], pooling: str, tower: Tower) -> str:
    """Digest what decides a document's vector, in the manner of the bundle's digest."""
    parts = {name: checksums[name] for name in (tower.file, WEIGHTS_FILE, TOKENIZER_FILE)}
    form = f"{pooling} {tower.max_tokens} {tower.prefix}"
    return manifests.digest(parts | {"form": hashlib.sha256(form.encode()).hexdigest()})


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
