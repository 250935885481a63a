"""Base in, bundle out: graphs, tokeniser, canonical values and manifest, complete or not at all."""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx

from model_export.activations import peaks
from model_export.base import Base
from model_export.canonical import written
from model_export.compare import Comparison, Limits, check_exact, compared
from model_export.errors import ExportError
from model_export.graph import encoder
from model_export.linear import for_documents, for_queries
from model_export.quantize import Floats
from model_export.reference import torch_embeddings
from model_export.texts import CANONICAL_DOCUMENTS, CANONICAL_QUERIES, SAMPLE_DOCUMENTS, SAMPLE_QUERIES
from model_export.weights import WeightFile
from reranker import manifest as manifests
from reranker.bundle import Bundle
from reranker.manifest import CosineParameters, FusionDefault, Manifest, Tower
from reranker.text import Chunking
from reranker.tokens import Tokens

QUERY_FILE, DOCUMENT_FILE, WEIGHTS_FILE = "query_encoder.onnx", "document_encoder.onnx", "weights.bin"
TOKENIZER_FILE, CANONICAL_FILE = "tokenizer.json", "canonical.json"
QUERY_TOKENS = 64
MAX_BYTES = 50_000_000
QUERIES = (*CANONICAL_QUERIES, *SAMPLE_QUERIES)
DOCUMENTS = (*CANONICAL_DOCUMENTS, *SAMPLE_DOCUMENTS)


@dataclass(frozen=True)
class Exported:
    """What an export found: the float32 graph's largest difference to torch, and the bundle's comparison."""

    exact_difference: float
    comparison: Comparison
    size_bytes: int


def export(base: Base, out: Path, limits: Limits = Limits(), *, max_bytes: int = MAX_BYTES) -> Exported:  # noqa: B008
    """Write the bundle of `base` as the folder `out`, which must not exist.

    Everything is made and compared in a folder beside it, which is renamed at the end or removed.

    Raises:
        ExportError: `out` exists, a graph is not fused, the bundle is too large or too far from torch.
    """
    if out.exists():
        raise ExportError(f"expected no folder {out}, found one: remove it or choose another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        exported = _export(base, scratch, limits, max_bytes)
        scratch.chmod(0o755)
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return exported


def _export(base: Base, folder: Path, limits: Limits, max_bytes: int) -> Exported:
    (folder / TOKENIZER_FILE).write_text(_bare(base.tokenizer))
    query_ids, document_ids = _ids(base, folder)
    difference = check_exact(base, [*query_ids, *document_ids], folder)
    _write_graphs(base, folder, peaks(base, [*query_ids, *document_ids]))
    torch_queries, torch_documents = torch_embeddings(base, query_ids), torch_embeddings(base, document_ids)
    (folder / CANONICAL_FILE).write_bytes(
        written(torch_queries[: len(CANONICAL_QUERIES)], torch_documents[: len(CANONICAL_DOCUMENTS)], limits)
    )
    write_manifest(folder, _manifest(base, folder))
    comparison = compared(*_encoded(Bundle.open(folder)), torch_queries, torch_documents)
    comparison.check(limits)
    size = sum(file.stat().st_size for file in folder.iterdir())
    if size > max_bytes:
        raise ExportError(
            f"expected a bundle of at most {max_bytes} bytes, found {size}: take a smaller base"
        )
    return Exported(difference, comparison, size)


def compare_bundle(bundle: Bundle, base: Base) -> Comparison:
    """Compare a bundle that exists with its base in torch, on QUERIES and DOCUMENTS."""
    query_ids, document_ids = _ids(base, bundle.path)
    reference = torch_embeddings(base, query_ids), torch_embeddings(base, document_ids)
    return compared(*_encoded(bundle), *reference)


def _encoded(bundle: Bundle) -> tuple[Floats, Floats]:
    """Encode QUERIES and DOCUMENTS with a bundle: -> (queries, dim) and (documents, dim) float32."""
    encode = bundle.query_encoder()
    queries = np.stack([encode(text) for text in QUERIES])
    chunks = bundle.document_encoder(threads=1)(DOCUMENTS, Chunking(max_chunks=1))
    return queries, np.concatenate(chunks)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of the bundle in `folder`."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / manifests.FILE_NAME).write_bytes(data + b"\n")


def _bare(tokenizer: str) -> str:
    """Take padding and truncation out of `tokenizer.json`: the encoders decide both."""
    content = json.loads(tokenizer) | {"padding": None, "truncation": None}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _ids(base: Base, folder: Path) -> tuple[list[list[int]], list[list[int]]]:
    file = folder / TOKENIZER_FILE
    queries = Tokens(file, max_tokens=QUERY_TOKENS, prefix=base.query_prefix)
    documents = Tokens(file, max_tokens=_document_tokens(base))
    return [queries.query(text) for text in QUERIES], [documents.query(text) for text in DOCUMENTS]


def _document_tokens(base: Base) -> int:
    tokens: int = base.model.config.max_position_embeddings
    return tokens


def _write_graphs(base: Base, folder: Path, reach: dict[str, Floats]) -> None:
    weights = WeightFile(WEIGHTS_FILE)
    onnx.save(encoder(base, for_queries(reach), weights), folder / QUERY_FILE)
    onnx.save(encoder(base, for_documents(reach), weights), folder / DOCUMENT_FILE)
    weights.write(folder)


def _manifest(base: Base, folder: Path) -> Manifest:
    checksums = {file.name: _sha256(file) for file in sorted(folder.iterdir())}
    document = Tower(DOCUMENT_FILE, _document_tokens(base))
    return Manifest(
        format=manifests.FORMAT,
        name=base.name,
        version="1",
        digest=manifests.digest(checksums),
        document_digest=_document_digest(checksums, base.pooling, document),
        dim=base.model.config.hidden_size,
        pooling=base.pooling,
        query=Tower(QUERY_FILE, min(QUERY_TOKENS, _document_tokens(base)), base.query_prefix),
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


def _document_digest(checksums: dict[str, str], pooling: str, tower: Tower) -> str:
    """Digest what decides a document's vector, in the manner of the bundle's digest."""
    parts = {name: checksums[name] for name in (tower.file, WEIGHTS_FILE, TOKENIZER_FILE)}
    form = f"{pooling} {tower.max_tokens} {tower.prefix}"
    return manifests.digest(parts | {"form": hashlib.sha256(form.encode()).hexdigest()})


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
