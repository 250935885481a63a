"""Write a bundle from a base, completely or not at all: graphs, tokeniser, crossing, manifest."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import onnx

from model_export.bundle.compare import Comparison, Limits, check_exact, compare_vectors, encode_canonical
from model_export.bundle.manifest import (
    CANONICAL_FILE,
    DOCUMENT_FILE,
    QUERY_FILE,
    QUERY_WEIGHTS_FILE,
    WEIGHTS_FILE,
    describe_bundle,
    describe_query_tower,
    write_manifest,
)
from model_export.bundle.reference import check_reference, tokenise_texts
from model_export.bundle.sharing import share_in_place
from model_export.bundle.texts import CANONICAL_DOCUMENTS, CANONICAL_QUERIES, IN_LATIN_SCRIPT, ExportTexts
from model_export.errors import ExportError
from model_export.folders.reference import Reference
from model_export.model.base import Base
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.model.graph_tower import GraphTower
from model_export.model.new_folder import make_folder
from model_export.model.reference import encode_in_torch
from model_export.model.tower import Tower
from model_export.onnx.crossing import write_crossing
from model_export.onnx.encoder import build_encoder
from model_export.onnx.linear import Linear, make_document_linear, make_query_linear, multiply_exactly
from model_export.onnx.long_queries import LongQueries
from model_export.onnx.quantize import measure_peaks
from model_export.onnx.weights import WeightFile, locate_tensors
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.encoder import Ids
from reranker.text import Chunking

MAX_BYTES = 50_000_000
DEFAULT_LIMITS = Limits()

Precision = Literal["int8", "fp32"]
MakeLinear = Callable[[Mapping[str, Floats]], Linear]
"""`make_query_linear` or `make_document_linear`."""


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    `query_prefix` replaces the base's own. `documents_of` is a bundle whose document tower is copied file by
    file, so that vectors stored with it stay valid; the base then gives only the query tower. That bundle's
    query tower reads queries of more than `whole_beyond` tokens. What the bundles `share_with` have is named
    in the manifest, not stored again. `reference` gives the vectors of what the base was read from, if that
    can be computed apart from the base. Without `max_bytes` a bundle may have any size.
    """

    limits: Limits = DEFAULT_LIMITS
    query_prefix: str | None = None
    max_bytes: int | None = MAX_BYTES
    precision: Precision = "int8"
    documents_of: Bundle | None = None
    whole_beyond: int | None = None
    share_with: tuple[Bundle, ...] = ()
    texts: ExportTexts = IN_LATIN_SCRIPT
    reference: Reference | None = None

    def make_long_queries(self, base: Base) -> LongQueries | None:
        """Return what reads long queries in a bundle of `base`, or None if no other tower does.

        Raises:
            ExportError: no bundle is given that reads them, or it cannot.
        """
        if self.whole_beyond is None:
            return None
        if self.documents_of is None:
            raise ExportError("expected documents_of, whose query tower reads long queries, found none")
        prefix = base.query_prefix if self.query_prefix is None else self.query_prefix
        return LongQueries(self.documents_of, self.whole_beyond, describe_query_tower(base, prefix))


DEFAULT_OPTIONS = ExportOptions()


@dataclass(frozen=True)
class ExportResult:
    """The float32 graphs' largest difference from torch, the bundle's comparison and its size.

    `own_bytes` is what its folder holds: all of `size_bytes`, unless it shares files. `reference_cosine` is
    the base's least cosine to the reference, if there is one.
    """

    exact_difference: float
    comparison: Comparison
    size_bytes: int
    own_bytes: int
    reference_cosine: float | None = None


def export(base: Base, out: Path, options: ExportOptions = DEFAULT_OPTIONS) -> ExportResult:
    """Write the bundle of `base` as the folder `out`, which must not exist.

    All files are written and compared in a folder beside it, which is renamed at the end, or removed.

    Raises:
        ExportError: `out` exists or cannot be written, a graph is not fused, the bundle is too large or
            differs too much from torch, `documents_of` has another tokeniser, or `share_with` has nothing
            to share.
        BundleError: a bundle of `share_with` is neither beside `out` nor shipped.
    """
    options.make_long_queries(base)  # fail on wrong options before the work
    with make_folder(out, "bundle") as folder:
        (folder / TOKENIZER_FILE).write_text(_strip_tokenizer(base.tokenizer))
        nearest = check_reference(base, folder / TOKENIZER_FILE, options.texts, options.reference)
        difference = _write_files(base, folder, options)
        comparison = _write_texts(base, folder, options)
        size = _check_size(folder, options.max_bytes)
        if options.share_with:
            share_in_place(folder, options.share_with)
        own_size = _sum_sizes(folder)
    return ExportResult(difference, comparison, size, own_size, nearest)


def compare_bundle(bundle: Bundle, base: Base, texts: ExportTexts = IN_LATIN_SCRIPT) -> Comparison:
    """Compare a bundle with its base in torch, on documents and on those queries that the base reads."""
    manifest = bundle.manifest
    file = bundle.files[manifest.tokenizer]
    queries, documents = tokenise_texts(base, file, manifest.query.prefix, texts)
    beyond = manifest.whole_beyond
    read = [place for place, tokens in enumerate(queries) if beyond is None or len(tokens) <= beyond]
    original = (
        encode_in_torch(base.query, [queries[i] for i in read]),
        encode_in_torch(base.document, documents),
    )
    encoded_queries, encoded_documents = _encode_texts(bundle, texts)
    return compare_vectors(
        (encoded_queries[read], encoded_documents), bundle.load_crossing(), original, base.crossing
    )


def _write_files(base: Base, folder: Path, options: ExportOptions) -> float:
    """Write graphs and weights; return the float32 graphs' largest difference from torch."""
    prefix = base.query_prefix or base.projected_prefix
    texts = options.texts.select_ranked()
    queries, documents = tokenise_texts(base, folder / TOKENIZER_FILE, prefix, texts)
    differences = [check_exact(base.query, queries, folder), check_exact(base.document, documents, folder)]
    if base.shares_weights and options.documents_of is None:
        _write_shared(base, [*queries, *documents], folder, options.precision)
    else:
        if options.documents_of is None:
            linear = _make_linear(base.document, documents, options.precision, make_document_linear)
            _write_graph(base.document, linear, folder / DOCUMENT_FILE, WeightFile(WEIGHTS_FILE))
        else:
            _copy_documents(options.documents_of, folder)
        # Rounded alike, equal weights of both towers are equal bytes, which are stored once.
        is_one = base.query.has_weights_of(base.document)
        seen = (base.document, [*queries, *documents]) if is_one else (base.query, queries)
        linear = _make_linear(*seen, options.precision, make_query_linear)
        there = locate_tensors(folder / DOCUMENT_FILE, {WEIGHTS_FILE: folder / WEIGHTS_FILE})
        weights = WeightFile(QUERY_WEIGHTS_FILE, there=there)
        long_queries = options.make_long_queries(base)
        _write_graph(base.query, linear, folder / QUERY_FILE, weights, long_queries)
    write_crossing(base.crossing, folder)
    return max(differences)


def _write_shared(base: Base, ids: list[Ids], folder: Path, precision: Precision) -> None:
    """Write both graphs of one transformer over one weight file."""
    weights = WeightFile(WEIGHTS_FILE)
    reach = _measure_peaks(base.query, ids)
    linears = (
        (multiply_exactly, multiply_exactly)
        if precision == "fp32"
        else (make_query_linear(reach), make_document_linear(reach))
    )
    sides = ((base.query, QUERY_FILE), (base.document, DOCUMENT_FILE))
    for linear, (tower, file) in zip(linears, sides, strict=True):
        onnx.save(build_encoder(tower, linear, weights), folder / file)
    weights.write(folder)


def _write_graph(
    tower: Tower, linear: Linear, file: Path, weights: WeightFile, long_queries: LongQueries | None = None
) -> None:
    model = build_encoder(tower, linear, weights)
    onnx.save(long_queries.join(model, weights) if long_queries else model, file)
    weights.write(file.parent)


def _make_linear(tower: Tower, ids: list[Ids], precision: Precision, make: MakeLinear) -> Linear:
    return multiply_exactly if precision == "fp32" else make(_measure_peaks(tower, ids))


def _measure_peaks(tower: Tower, ids: list[Ids]) -> Mapping[str, Floats]:
    """Return what smooths a tower's layers; a graph that came with the model is not smoothed."""
    return {} if isinstance(tower, GraphTower) else measure_peaks(tower, ids)


def _copy_documents(bundle: Bundle, folder: Path) -> None:
    """Copy the files that decide a document's vector."""
    other = bundle.files[bundle.manifest.tokenizer].read_bytes()
    if other != (folder / TOKENIZER_FILE).read_bytes():
        raise ExportError(
            f"expected the tokeniser of {bundle.path}, whose document tower is taken over, found another"
        )
    for name in (DOCUMENT_FILE, WEIGHTS_FILE):
        shutil.copyfile(bundle.files[name], folder / name)


def _write_texts(base: Base, folder: Path, options: ExportOptions) -> Comparison:
    """Write canonical texts and manifest, open the bundle as a user does, and compare it with torch."""
    prefix = base.query_prefix if options.query_prefix is None else options.query_prefix
    limits = options.limits.for_crossing(base.crossing)
    query_ids, document_ids = tokenise_texts(base, folder / TOKENIZER_FILE, prefix, options.texts)
    queries, documents = (
        encode_in_torch(base.query, query_ids),
        encode_in_torch(base.document, document_ids),
    )
    if long_queries := options.make_long_queries(base):
        queries = long_queries.encode_reference(query_ids, queries)
    canonical = queries[: len(CANONICAL_QUERIES)], documents[: len(CANONICAL_DOCUMENTS)]
    (folder / CANONICAL_FILE).write_bytes(encode_canonical(*canonical, base.crossing, limits))
    taken = options.documents_of.vectors_of if options.documents_of else base.name
    whose = None if taken == base.name else taken
    about = describe_bundle(base, prefix, folder, vectors_of=whose)
    write_manifest(folder, msgspec.structs.replace(about, whole_beyond=options.whole_beyond))
    bundle = Bundle.open(folder)
    _check_documents(bundle, options.documents_of)
    comparison = compare_vectors(
        _encode_texts(bundle, options.texts),
        bundle.load_crossing(),
        (queries, documents),
        base.crossing,
        options.texts.num_ranked,
    )
    comparison.check(limits)
    return comparison


def _check_documents(bundle: Bundle, taken: Bundle | None) -> None:
    if taken is not None and bundle.manifest.document_digest != taken.manifest.document_digest:
        raise ExportError(
            f"expected the document tower of {taken.path}, found one of another form:"
            f" {bundle.manifest.document}, pooling {bundle.manifest.pooling}"
        )


def _check_size(folder: Path, max_bytes: int | None) -> int:
    size = _sum_sizes(folder)
    if max_bytes is not None and size > max_bytes:
        raise ExportError(
            f"expected a bundle of at most {max_bytes} bytes, found {size}: take a smaller base"
        )
    return size


def _sum_sizes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _encode_texts(bundle: Bundle, texts: ExportTexts) -> tuple[Floats, Floats]:
    """Encode texts with a bundle: -> (queries, dim) and (documents, dim) float32."""
    encode = bundle.load_query_encoder()
    queries = np.stack([encode(text) for text in texts.queries])
    chunks = bundle.load_document_encoder(threads=1)(texts.documents, Chunking(max_chunks=1))
    return queries, np.concatenate(chunks)


def _strip_tokenizer(tokenizer: str) -> str:
    """Remove padding and truncation from `tokenizer.json`: the encoders decide both."""
    content = json.loads(tokenizer)
    if content.get("type") != "tri_letters":
        content |= {"padding": None, "truncation": None}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
