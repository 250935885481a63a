"""Write the manifest of a bundle from its files and its base."""

import hashlib
from pathlib import Path

import msgspec

from model_export.bundle.manifest_file import hash_file, write_values
from model_export.model.base import Base
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.model.crossing import CosineCrossing
from model_export.onnx.crossing import CROSSING_FILE
from reranker import manifest as manifests
from reranker.manifest import (
    CosineParameters,
    CrossingParameters,
    FusionDefault,
    Manifest,
    ResidualParameters,
    TowerSpec,
)

QUERY_FILE, DOCUMENT_FILE, CANONICAL_FILE = "query_encoder.onnx", "document_encoder.onnx", "canonical.json"
WEIGHTS_FILE, QUERY_WEIGHTS_FILE = "weights.bin", "query_weights.bin"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of the bundle in `folder`, with the digest of its present values."""
    values = {key: value for key, value in msgspec.to_builtins(manifest).items() if value is not None}
    if not manifest.shared:
        del values["shared"]
    write_values(folder, values)


def describe_bundle(
    base: Base, query_prefix: str, folder: Path, *, vectors_of: str | None = None
) -> Manifest:
    """Return the manifest of the bundle of `base` whose files, all of them, are in `folder`.

    `vectors_of` names the bundle whose document tower they hold, if it is another.
    """
    checksums = {file.name: hash_file(file) for file in sorted(folder.iterdir())}
    document = TowerSpec(DOCUMENT_FILE, base.document_tokens, base.document_prefix)
    return Manifest(
        format=manifests.FORMAT,
        name=base.name,
        version="1",
        digest="",  # `write_manifest` fills it in
        document_digest=_digest_document_files(checksums, base.document.pooling.name, document),
        dim=base.document.dim,
        pooling=base.document.pooling.name,
        query=describe_query_tower(base, query_prefix),
        document=document,
        tokenizer=TOKENIZER_FILE,
        crossing=_describe_crossing(base),
        fusion=FusionDefault("log_linear", base.fusion_weight, base.feedback, base.smoothing),
        neutral_crossing=base.neutral_crossing,
        base=base.origin,
        licence=base.licence,
        trained_on=base.trained_on,
        checksums=checksums,
        canonical=CANONICAL_FILE,
        input=base.query.kind,
        vectors_of=vectors_of,
        languages=base.languages,
    )


def describe_query_tower(base: Base, prefix: str) -> TowerSpec:
    """Return the manifest's entry for the query tower of `base`."""
    return TowerSpec(QUERY_FILE, base.query_tokens, prefix)


def _describe_crossing(base: Base) -> CrossingParameters:
    if isinstance(base.crossing, CosineCrossing):
        cosine = base.crossing.to_runtime()
        return CosineParameters(scale=round(cosine.scale, 4), offset=round(cosine.offset, 4))
    return ResidualParameters(CROSSING_FILE, hidden=base.crossing.inner.out_features)


def _digest_document_files(checksums: dict[str, str], pooling: str, tower: TowerSpec) -> str:
    """Return the SHA-256 of the sorted lines `FILE SHA256` of everything that decides a document's vector."""
    parts = {name: checksums[name] for name in (tower.file, WEIGHTS_FILE, TOKENIZER_FILE)}
    form = f"{pooling} {tower.max_tokens} {tower.prefix}"
    parts["form"] = hashlib.sha256(form.encode()).hexdigest()
    lines = "".join(f"{name} {parts[name]}\n" for name in sorted(parts))
    return hashlib.sha256(lines.encode()).hexdigest()
