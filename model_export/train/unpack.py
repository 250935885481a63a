"""A bundle back into the folder of a trained model, so that a training can go on from what is committed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model_export.errors import ExportError
from model_export.model.base import Base
from model_export.model.crossing import CosineCrossing, ResidualCrossing, TrainedCrossing
from model_export.model.new_folder import make_folder
from model_export.model.reference import encode_in_torch
from model_export.model.tokens import tokenise
from model_export.model.tower import Tower
from model_export.model.twin import TowerShape, TwinBert
from model_export.onnx.packed_tower import SMALL, WHOLE, read_towers
from model_export.train.model_folder import write_model
from reranker import canonical
from reranker.bundle import Bundle
from reranker.crossing import Cosine, Crossing, Residual
from reranker.encoder import Ids
from reranker.text import Chunking

WHOLE_FOLDER = "whole"
"""The folder, inside the model's, of the tower that reads long queries."""

LEAST_COSINE = 0.99
"""Of a text's two vectors, from the graph and from the unpacked tower. Weights read wrongly give far less.
The graph also rounds what flows through it: the shipped bundles have 0.9994 and more, tiny ones 0.998."""

LEAST_TOKENS = 3
"""Shorter texts, which are empty, are not compared: a graph's rounding is coarsest there (0.9983)."""


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked: how many layers each query tower has, and the least cosines to the graphs.

    `query_layers` has one number, or two if another tower reads long queries.
    """

    query_layers: tuple[int, ...]
    document_layers: int
    query_cosine: float
    document_cosine: float


def unpack(bundle: Bundle, out: Path) -> Unpacked:
    """Write a bundle's towers and crossing as the folder `out`, in the form of models that `train` writes.

    `out` must not exist. A tower for long queries gets a folder inside it, with the same document tower.

    Raises:
        ExportError: `out` exists or cannot be written, a graph is not one that `export` writes, or an
            unpacked tower's vectors differ too much from its graph's. Nothing is left then.
    """
    with make_folder(out, "model") as folder:
        bases = read_bases(bundle)
        found = _compare(bundle, bases)
        _write_base(folder, bases[0])
        for whole in bases[1:]:
            (folder / WHOLE_FOLDER).mkdir()
            _write_base(folder / WHOLE_FOLDER, whole)
    return found


def read_bases(bundle: Bundle) -> list[Base]:
    """Return the bundle's model in float32, and then the one of its tower for long queries, if there is one.

    Raises:
        ExportError: a graph is not one that `export` writes, or a limit of tokens cannot be kept.
    """
    queries = _read_towers(bundle, bundle.manifest.query.file)
    documents = _read_towers(bundle, bundle.manifest.document.file)
    if "" not in documents:
        raise ExportError(f"expected one document tower in {bundle.path}, found {sorted(documents)}")
    if (bundle.manifest.whole_beyond is None) != ("" in queries):
        raise ExportError(
            f"expected query towers of {bundle.path} that fit whole_beyond"
            f" {bundle.manifest.whole_beyond}, found {len(queries)}"
        )
    towers = [queries[""]] if "" in queries else [queries[SMALL], queries[WHOLE]]
    return [_describe(bundle, tower, documents[""]) for tower in towers]


def _read_towers(bundle: Bundle, file: str) -> dict[str, Tower]:
    manifest = bundle.manifest
    return read_towers(bundle.files[file], bundle.files, pooling=manifest.pooling, kind=manifest.input)


def _describe(bundle: Bundle, query: Tower, document: Tower) -> Base:
    """Return the base that `export` makes such a bundle of; towers of equal weights are one."""
    manifest = bundle.manifest
    if manifest.document.prefix:
        raise ExportError(
            f"expected no prefix for documents in {bundle.path}, found {manifest.document.prefix!r}: training"
            " has none"
        )
    most = manifest.document.max_tokens
    base = Base(
        name=bundle.name,
        query=document if _are_equal(query, document) else query,
        document=document,
        tokenizer=bundle.files[manifest.tokenizer].read_text(encoding="utf-8"),
        query_prefix=manifest.query.prefix,
        origin=manifest.base,
        licence=manifest.licence,
        trained_on=manifest.trained_on,
        crossing=_train_crossing(bundle.load_crossing()),
        languages=manifest.languages,
        max_tokens=most if most < document.max_tokens else None,
    )
    if (base.query_tokens, base.document_tokens) != (manifest.query.max_tokens, most):
        raise ExportError(
            f"expected {bundle.path} to cut texts where export would, after {base.query_tokens} and"
            f" {base.document_tokens} tokens, found {manifest.query.max_tokens} and {most}"
        )
    return base


def _are_equal(one: Tower, other: Tower) -> bool:
    states = one.state_dict(), other.state_dict()
    return TowerShape.from_tower(one) == TowerShape.from_tower(other) and all(
        tensor.equal(states[1][name]) for name, tensor in states[0].items()
    )


def _train_crossing(crossing: Crossing) -> TrainedCrossing:
    """Return a crossing in the form that training has it.

    Raises:
        ExportError: training has no such crossing.
    """
    if isinstance(crossing, Cosine):
        return CosineCrossing(crossing.scale, crossing.offset)
    if not isinstance(crossing, Residual):
        raise ExportError(f"expected a cosine or residual crossing, found {type(crossing).__name__}")
    hidden, dim = crossing.w0.shape
    made = ResidualCrossing(dim, hidden)
    layers = (made.inner, made.outer, made.classes)
    parameters = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
    arrays = (crossing.w0, crossing.b0, crossing.w1, crossing.b1, crossing.w2, crossing.b2)
    with torch.no_grad():
        for parameter, array in zip(parameters, arrays, strict=True):
            parameter.copy_(torch.from_numpy(array))
    return made


def _compare(bundle: Bundle, bases: Sequence[Base]) -> Unpacked:
    """Encode the bundle's canonical texts with its graphs and with the unpacked towers.

    Raises:
        ExportError: a cosine is below LEAST_COSINE.
    """
    texts = canonical.read(bundle.files[bundle.manifest.canonical])
    encode = bundle.load_query_encoder()
    found = Unpacked(
        query_layers=tuple(base.query.num_layers for base in bases),
        document_layers=bases[0].document.num_layers,
        query_cosine=min(
            float(encode(text) @ encode_in_torch(tower, [ids])[0])
            for text, tower, ids in _pair_queries(bundle, bases, texts.queries)
        ),
        document_cosine=_compare_documents(bundle, bases[0], texts.documents),
    )
    if not min(found.query_cosine, found.document_cosine) >= LEAST_COSINE:
        raise ExportError(f"expected cosines of {LEAST_COSINE} to the graphs of {bundle.path}, found {found}")
    return found


def _pair_queries(
    bundle: Bundle, bases: Sequence[Base], texts: Sequence[str]
) -> list[tuple[str, Tower, Ids]]:
    """Return each query that is not empty with the tower that reads it, and its tokens."""
    manifest = bundle.manifest
    first, last = bases[0].query, bases[-1].query
    most = manifest.query.max_tokens
    tokens = tokenise(
        first, bundle.files[manifest.tokenizer], texts, prefix=manifest.query.prefix, max_tokens=most
    )
    beyond = most if manifest.whole_beyond is None else manifest.whole_beyond
    return [
        (text, last if len(ids) > beyond else first, ids)
        for text, ids in zip(texts, tokens, strict=True)
        if len(ids) >= LEAST_TOKENS
    ]


def _compare_documents(bundle: Bundle, base: Base, texts: Sequence[str]) -> float:
    manifest = bundle.manifest
    tokens = tokenise(
        base.document,
        bundle.files[manifest.tokenizer],
        texts,
        prefix=manifest.document.prefix,
        max_tokens=manifest.document.max_tokens,
    )
    kept = [place for place, ids in enumerate(tokens) if len(ids) >= LEAST_TOKENS]
    vectors = np.concatenate(bundle.load_document_encoder(threads=1)(texts, Chunking(max_chunks=1)))[kept]
    unpacked = encode_in_torch(base.document, [tokens[place] for place in kept])
    return float((vectors * unpacked).sum(axis=1).min())


def _write_base(folder: Path, base: Base) -> None:
    write_model(folder, TwinBert(base.query, base.document, base.crossing), base)
