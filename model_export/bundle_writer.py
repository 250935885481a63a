"""Base in, bundle out: graphs, tokeniser, canonical values and manifest, complete or not at all."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from model_export.activations import peaks
from model_export.base import Base
from model_export.canonical import written
from model_export.compare import Comparison, Limits, check_exact, compared
from model_export.errors import ExportError
from model_export.graph import encoder
from model_export.linear import for_documents, for_queries
from model_export.manifest_writer import (
    CANONICAL_FILE,
    DOCUMENT_FILE,
    QUERY_FILE,
    QUERY_TOKENS,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    document_tokens,
    manifest_of,
    write_manifest,
)
from model_export.quantize import Floats
from model_export.reference import torch_embeddings
from model_export.texts import CANONICAL_DOCUMENTS, CANONICAL_QUERIES, SAMPLE_DOCUMENTS, SAMPLE_QUERIES
from model_export.weights import WeightFile
from reranker.bundle import Bundle
from reranker.text import Chunking
from reranker.tokens import Tokens

MAX_BYTES = 50_000_000
DEFAULT_LIMITS = Limits()
QUERIES = (*CANONICAL_QUERIES, *SAMPLE_QUERIES)
DOCUMENTS = (*CANONICAL_DOCUMENTS, *SAMPLE_DOCUMENTS)


@dataclass(frozen=True)
class Exported:
    """What an export found: the float32 graph's largest difference to torch, and the bundle's comparison."""

    exact_difference: float
    comparison: Comparison
    size_bytes: int


def export(
    base: Base,
    out: Path,
    limits: Limits = DEFAULT_LIMITS,
    *,
    query_prefix: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> Exported:
    """Write the bundle of `base` as the folder `out`, which must not exist.

    Everything is made and compared in a folder beside it, which is renamed at the end or removed.
    `query_prefix` replaces the base's own.

    Raises:
        ExportError: `out` exists, a graph is not fused, the bundle is too large or too far from torch.
    """
    if out.exists():
        raise ExportError(f"expected no folder {out}, found one: remove it or choose another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        difference = _write_files(base, scratch)
        comparison = _write_texts(
            base, scratch, limits, base.query_prefix if query_prefix is None else query_prefix
        )
        size = _checked_size(scratch, max_bytes)
        scratch.chmod(0o755)
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Exported(difference, comparison, size)


def compare_bundle(bundle: Bundle, base: Base) -> Comparison:
    """Compare a bundle that exists with its base in torch, on QUERIES and DOCUMENTS."""
    ids = _ids(base, bundle.path, bundle.manifest.query.prefix)
    return compared(*_encoded(bundle), *(torch_embeddings(base, batch) for batch in ids))


def _write_files(base: Base, folder: Path) -> float:
    """Write tokeniser, graphs and weights; return the float32 graph's largest difference to torch."""
    (folder / TOKENIZER_FILE).write_text(_bare(base.tokenizer))
    queries, documents = _ids(base, folder, base.query_prefix)
    difference = check_exact(base, [*queries, *documents], folder)
    reach = peaks(base, [*queries, *documents])
    weights = WeightFile(WEIGHTS_FILE)
    onnx.save(encoder(base, for_queries(reach), weights), folder / QUERY_FILE)
    onnx.save(encoder(base, for_documents(reach), weights), folder / DOCUMENT_FILE)
    weights.write(folder)
    return difference


def _write_texts(base: Base, folder: Path, limits: Limits, query_prefix: str) -> Comparison:
    """Write canonical texts and manifest, and hold the bundle, as others will open it, against torch."""
    queries, documents = (torch_embeddings(base, ids) for ids in _ids(base, folder, query_prefix))
    (folder / CANONICAL_FILE).write_bytes(
        written(queries[: len(CANONICAL_QUERIES)], documents[: len(CANONICAL_DOCUMENTS)], limits)
    )
    write_manifest(folder, manifest_of(base, query_prefix, folder))
    comparison = compared(*_encoded(Bundle.open(folder)), queries, documents)
    comparison.check(limits)
    return comparison


def _checked_size(folder: Path, max_bytes: int) -> int:
    size = sum(file.stat().st_size for file in folder.iterdir())
    if size > max_bytes:
        raise ExportError(
            f"expected a bundle of at most {max_bytes} bytes, found {size}: take a smaller base"
        )
    return size


def _encoded(bundle: Bundle) -> tuple[Floats, Floats]:
    """Encode QUERIES and DOCUMENTS with a bundle: -> (queries, dim) and (documents, dim) float32."""
    encode = bundle.query_encoder()
    queries = np.stack([encode(text) for text in QUERIES])
    chunks = bundle.document_encoder(threads=1)(DOCUMENTS, Chunking(max_chunks=1))
    return queries, np.concatenate(chunks)


def _bare(tokenizer: str) -> str:
    """Take padding and truncation out of `tokenizer.json`: the encoders decide both."""
    content = json.loads(tokenizer) | {"padding": None, "truncation": None}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _ids(base: Base, folder: Path, query_prefix: str) -> tuple[list[list[int]], list[list[int]]]:
    file = folder / TOKENIZER_FILE
    queries = Tokens(file, max_tokens=QUERY_TOKENS, prefix=query_prefix)
    documents = Tokens(file, max_tokens=document_tokens(base))
    return [queries.query(text) for text in QUERIES], [documents.query(text) for text in DOCUMENTS]
