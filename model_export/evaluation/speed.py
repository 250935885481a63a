"""The paper's speed table: cross-encoders against TwinBERT, all on ONNX Runtime, in one interleaved run."""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import onnx
import onnxruntime
import torch
from transformers import BertConfig, BertModel

from model_export.model.crossing import ResidualCrossing
from model_export.model.tower import Tower
from model_export.onnx.crossing import build_crossing
from model_export.onnx.encoder import build_encoder
from model_export.onnx.linear import multiply_exactly
from model_export.onnx.weights import WeightFile
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.crossing import Cosine
from reranker.encoder import Encoder

NUM_DOCUMENTS, PAPER_QUERY_TOKENS, PAPER_DOCUMENT_TOKENS = 100, 12, 32
PAIR_TOKENS = PAPER_QUERY_TOKENS + PAPER_DOCUMENT_TOKENS - 1
"""Both texts share the first token."""
PAIRS = 10
"""How many pairs a cross-encoder scores at a time."""


@dataclass(frozen=True)
class TransformerShape:
    """The size of a transformer."""

    layers: int
    hidden: int
    heads: int

    def build(self) -> Tower:
        """Return a tower of this size with random weights, which do not affect the time."""
        torch.manual_seed(0)
        config = BertConfig(
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.hidden,
        )
        return Tower(BertModel(config, add_pooling_layer=False).train(mode=False), "cls")


LARGE, BASE, THREE = (
    TransformerShape(24, 1024, 16),
    TransformerShape(12, 768, 12),
    TransformerShape(3, 768, 12),
)
TWIN = TransformerShape(6, 768, 12)
"""The paper's student."""


@dataclass(frozen=True)
class TimedRun:
    """A function that scores one query's documents, and its times in each round so far.

    `times_ms` holds processor time and wall-clock time. On a shared machine a short run is seldom interrupted
    and a long one always is, so only processor times are comparable.
    """

    name: str
    run: Callable[[], object]
    repeats: int
    times_ms: list[tuple[float, float]] = field(default_factory=list)

    def measure(self) -> None:
        """Run it `repeats` times and record the medians."""
        times = []
        for _ in range(self.repeats):
            processor_s, clock_s = process_time(), perf_counter()
            self.run()
            times.append((1000 * (process_time() - processor_s), 1000 * (perf_counter() - clock_s)))
        self.times_ms.append(
            (float(np.median([p for p, _ in times])), float(np.median([c for _, c in times])))
        )

    @property
    def medians_ms(self) -> tuple[float, float]:
        """The medians over the rounds: processor time, wall-clock time."""
        processor_ms, clock_ms = np.median(self.times_ms, axis=0).tolist()
        return processor_ms, clock_ms


def measure_speed(
    bundle: Bundle,
    *,
    threads: int,
    rounds: int,
    shapes: Sequence[TransformerShape] = (LARGE, BASE, THREE, TWIN),
) -> Iterator[str]:
    """Measure, and yield the table as Markdown; the last shape is TwinBERT's, the others cross-encoders'."""
    *crossed, twin = shapes
    runs = [
        *_make_cross_encoders(crossed, threads),
        *_make_twins(twin.build(), threads),
        *_make_bundle_runs(bundle, threads),
    ]
    for _ in range(rounds):
        for run in runs:
            run.measure()
    slowest, _ = runs[0].medians_ms
    head = f"{NUM_DOCUMENTS} documents, threads: {threads}, p50 of {rounds} rounds"
    yield f"| {head} | processor ms | times as fast | clock ms |"
    yield "|---|---:|---:|---:|"
    for run in runs:
        processor_ms, clock_ms = run.medians_ms
        ratio = f"{slowest / processor_ms:,.1f}"
        yield f"| {run.name} | {_format_ms(processor_ms)} | {ratio} | {_format_ms(clock_ms)} |"


def describe_processor() -> str:
    """Return the processor's name and its instructions that matter to int8, from Linux."""
    text = Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", text)
    flags = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if flag in text]
    return f"{name.group(1) if name else 'unknown processor'} ({', '.join(flags)})"


def read_load_average() -> float:
    """Return the load average of the last minute."""
    return float(Path("/proc/loadavg").read_text().split()[0])


def _make_cross_encoders(shapes: Sequence[TransformerShape], threads: int) -> list[TimedRun]:
    found = []
    for shape in shapes:
        run = _make_pair_scorer(_load_encoder(shape.build(), threads))
        name = f"cross-encoder, {shape.layers} layers of {shape.hidden}, float32"
        found.append(TimedRun(name, run, 1))
    return found


def _make_pair_scorer(encode: Encoder) -> Callable[[], object]:
    pairs = [_make_ids(PAIR_TOKENS)] * PAIRS
    return lambda: [encode.encode_ids(pairs) for _ in range(NUM_DOCUMENTS // PAIRS)]


def _make_twins(tower: Tower, threads: int) -> Iterator[TimedRun]:
    encode, vectors = _load_encoder(tower, threads), _make_unit_vectors(tower.dim)
    query, ids = vectors[0], [_make_ids(PAPER_QUERY_TOKENS)]
    name = f"TwinBERT, {tower.num_layers} layers of {tower.dim}, float32"
    residual = _load_residual(tower.dim, threads)
    yield TimedRun(f"{name}, residual", lambda: residual(encode.encode_ids(ids)[0], vectors), 5)
    cosine = Cosine(1.0, 0.0)
    yield TimedRun(f"{name}, cosine", lambda: cosine(encode.encode_ids(ids)[0], vectors), 5)
    yield TimedRun(f"{name}, residual, query cached", lambda: residual(query, vectors), 20)
    yield TimedRun(f"{name}, cosine, query cached", lambda: cosine(query, vectors), 20)


def _make_bundle_runs(bundle: Bundle, threads: int) -> Iterator[TimedRun]:
    encode = bundle.load_query_encoder(threads=threads)
    vectors, crossing = _make_unit_vectors(bundle.manifest.dim), bundle.load_crossing()
    words = "how to wait a few seconds and then read on"
    query = encode(words)
    name = f"{bundle.name} as shipped"
    yield TimedRun(name, lambda: crossing(encode(words), vectors), 20)
    yield TimedRun(f"{name}, query cached", lambda: crossing(query, vectors), 20)


def _load_encoder(tower: Tower, threads: int) -> Encoder:
    """Write a tower as a fused float32 graph and open it; the files are removed."""
    with tempfile.TemporaryDirectory() as folder:
        weights = WeightFile()
        onnx.save(build_encoder(tower, multiply_exactly, weights), Path(folder) / "tower.onnx")
        weights.write(Path(folder))
        return Encoder(Path(folder) / "tower.onnx", threads=threads)


def _load_residual(dim: int, threads: int) -> Callable[[Floats, Floats], object]:
    """Load a residual crossing, whose hidden layer is as wide as the vectors, in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = build_crossing(ResidualCrossing(dim, dim).to_runtime()).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda query, documents: session.run(None, {"query": query, "documents": documents})


def _make_ids(tokens: int) -> list[int]:
    return list(range(1000, 1000 + tokens))


def _make_unit_vectors(dim: int) -> Floats:
    vectors = np.random.default_rng(0).normal(size=(NUM_DOCUMENTS, dim)).astype(np.float32)
    units: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return units


def _format_ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"
