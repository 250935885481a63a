r"""`python -m tests.benchmarks.encoding`: documents a second beside fastembed and sentence-transformers.

The same docstrings, batch by batch in turn, on the same number of threads. The peers are no dependencies of
Twinrank; those are measured that are installed:

    .venv/bin/python -m pip install --target var/peers --no-deps fastembed loguru mmh3 py-rust-stemmers \
        sentence-transformers scikit-learn joblib threadpoolctl cloudpickle narwhals
    PYTHONPATH=var/peers .venv/bin/python -m tests.benchmarks.encoding

Both get bge-small-en-v1.5 in float32, from the same base that the default bundle was made of (`model_export`,
by Maven); ours is the bundle, int8 by default.
"""

import importlib
import importlib.util
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from model_export.model.base import fetch_jar, load_base
from plugin.demo.docstrings import read_standard_library
from plugin.options.common import bundle_option
from reranker.arrays import Floats, Floats64
from reranker.bundle import Bundle
from reranker.text import Chunking
from tests.benchmarks.backfill import verdict
from tests.benchmarks.report import machine_line

Seconds = Floats64
Encode = Callable[[Sequence[str]], Floats]

MIN_COSINE = 0.97
"""The peers' vectors must be ours but for int8: else it would be another model that is measured."""


@click.command()
@click.option("--documents", default=2048, show_default=True, help="Docstrings to encode.")
@click.option("--batch", "size", default=256, show_default=True, help="Documents in a batch.")
@click.option("--threads", default=1, show_default=True, help="Of every encoder.")
@bundle_option
def main(documents: int, size: int, threads: int, bundle_path: Path) -> None:
    """Measure whatever is installed."""
    bundle = Bundle.open(bundle_path)
    texts = list(dict.fromkeys(each.text for each in read_standard_library()))[:documents]
    batches = [texts[start : start + size] for start in range(0, len(texts), size)]
    click.echo(machine_line(len(texts)))
    with tempfile.TemporaryDirectory(prefix="twinrank-") as folder:
        encoders = {bundle.name: _ours(bundle, threads), **dict(_peers(Path(folder), threads))}
        spent = _measured(encoders, batches)
    counts = np.array([len(batch) for batch in batches[1:]])
    for name, seconds in spent.items():
        wall, cpu = counts.sum() / seconds.sum(axis=0)
        click.echo(f"{name}: {wall:.1f} documents/s, {cpu:.1f} a processor second, {threads} threads")
    ours = spent.pop(bundle.name)
    for name, theirs in spent.items():
        low, middle, high = np.percentile(theirs[:, 1] / ours[:, 1], [25, 50, 75])
        ratio = theirs[:, 1].sum() / ours[:, 1].sum()
        spread = f"by batch {middle:.2f}, quartiles {low:.2f} to {high:.2f}"
        click.echo(
            f"rate over {name}'s, processor time: {ratio:.2f} ({spread}; aim: 1): {verdict(ratio >= 1)}"
        )


def _ours(bundle: Bundle, threads: int) -> Encode:
    encode = bundle.load_document_encoder(threads=threads)
    return lambda texts: np.stack([vectors[0] for vectors in encode(texts, Chunking(max_tokens=512))])


def _measured(encoders: dict[str, Encode], batches: Sequence[Sequence[str]]) -> dict[str, Floats64]:
    """Return (batches - 1, 2) seconds, on the wall and of the processor; the first batch warms up.

    Raises:
        click.ClickException: an encoder gives other vectors than the first.
    """
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in encoders}
    for batch in batches:
        vectors = {}
        for name, encode in encoders.items():
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            vectors[name] = encode(batch)
            spent[name].append((time.perf_counter() - wall_s, time.process_time() - cpu_s))
        first, *others = vectors.values()
        for name, other in zip(list(vectors)[1:], others, strict=True):
            cosine = float(np.median(np.sum(first * other, axis=1)))
            if cosine < MIN_COSINE:
                raise click.ClickException(f"expected the same model, found {name} at cosine {cosine:.3f}")
    return {name: np.array(each[1:]) for name, each in spent.items()}


def _peers(folder: Path, threads: int) -> Iterator[tuple[str, Encode]]:
    """Yield the peers that are installed, and say which are not."""
    makers = {"fastembed": _fastembed, "sentence_transformers": _sentence_transformers}
    for name, make in makers.items():
        if importlib.util.find_spec(name) is None:
            click.echo(f"{name} is not installed, so it is not measured: see the head of this file")
        else:
            yield name, make(folder, threads)


def _saved(folder: Path) -> Path:
    """Write the base as transformers reads it."""
    base = load_base("bge-small")
    place = folder / "float32"
    base.document.bert.save_pretrained(place)
    tokenizer: Any = importlib.import_module("transformers").PreTrainedTokenizerFast(
        tokenizer_object=importlib.import_module("tokenizers").Tokenizer.from_str(base.tokenizer),
        pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]", mask_token="[MASK]",
        model_max_length=512,
    )  # fmt: skip
    tokenizer.save_pretrained(place)
    return place


def _sentence_transformers(folder: Path, threads: int) -> Encode:
    importlib.import_module("torch").set_num_threads(threads)
    library: Any = importlib.import_module("sentence_transformers")
    modules: Any = importlib.import_module("sentence_transformers.sentence_transformer.modules")
    transformer = modules.Transformer(str(_saved(folder)))
    pooling = modules.Pooling(base_dim(folder), pooling_mode="cls")
    model = library.SentenceTransformer(modules=[transformer, pooling, modules.Normalize()], device="cpu")
    return lambda texts: np.asarray(model.encode(list(texts), show_progress_bar=False), np.float32)


def base_dim(folder: Path) -> int:
    """Return the dimension of the base that was written there."""
    return int(json.loads((folder / "float32" / "config.json").read_text())["hidden_size"])


def _fastembed(folder: Path, threads: int) -> Encode:
    """Give fastembed the graph that the base was read from, beside the tokeniser's files."""
    place = _saved(folder)
    with zipfile.ZipFile(fetch_jar(folder)) as archive:
        (place / "model_optimized.onnx").write_bytes(archive.read("bge-small-en-v1.5.onnx"))
    library: Any = importlib.import_module("fastembed")
    embedding = library.TextEmbedding(
        "BAAI/bge-small-en-v1.5", specific_model_path=str(place), threads=threads
    )
    return lambda texts: np.stack(list(embedding.embed(list(texts)))).astype(np.float32)


if __name__ == "__main__":
    main()
