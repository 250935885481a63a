"""A cross-encoder from a folder with an ONNX graph, on ONNX Runtime."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from tokenizers import Encoding
from transformers import BertForSequenceClassification

from model_export.errors import ExportError, TrainingError
from model_export.model.architecture import CONFIG_FILE
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.model.json_files import read_json
from model_export.onnx.classifier import build_classifier
from model_export.onnx.dequantise import dequantise, is_quantised
from model_export.onnx.graph_view import GraphView
from model_export.onnx.integer_products import quantise_products
from model_export.train.pair_tokens import Pair, PairTokens
from model_export.train.relevance import compute_relevance, find_relevance_sign
from model_export.train.teacher import hash_folder
from reranker.arrays import Floats
from reranker.encoder import batch_by_length

GRAPH_FILES = ("model.onnx", "onnx/model.onnx")
"""Where a folder may hold its graph; the first that exists is read."""

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_VERSION = "1"
"""Changes if the same files give other scores."""

_SLOW_FUSIONS = ["SkipLayerNormFusion"]
"""What ONNX Runtime is not to fuse: that kernel costs an eighth of the whole time on a CPU."""


def find_graph(folder: Path) -> Path | None:
    """Return the ONNX graph of a folder, if it has one."""
    return next((folder / name for name in GRAPH_FILES if (folder / name).is_file()), None)


class OnnxCrossEncoder:
    """A graph that gives each pair of a batch one logit, or two, with `tokenizer.json` in its folder.

    A graph that was quantised dynamically is computed in float32, so that a score does not depend on its
    batch. With `int8`, the products are in integers with one scale a token: its scores do not depend on the
    batch either, and take about half the time.

    Args:
        folder: `tokenizer.json`, `model.onnx` or `onnx/model.onnx`, and `config.json` if it has two outputs.
        max_tokens: of query and document together.
        threads: how many batches are scored at once.
        int8: compute in integers.
        weights: the folder's classifier, in place of a graph in the folder.

    Raises:
        TrainingError: a file is missing or damaged; inputs, outputs or labels are not a cross-encoder's; or
            the model does not fit its tokeniser or `max_tokens`.
        ExportError: the graph is quantised in another way, or the tokeniser is another model's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_tokens: int = 256,
        threads: int = 1,
        int8: bool = False,
        weights: BertForSequenceClassification | None = None,
    ) -> None:
        file = folder if weights is not None else find_graph(folder)
        if file is None:
            raise TrainingError(f"expected {' or '.join(GRAPH_FILES)} in {folder}, found neither")
        self._file = file
        model = _load_graph(file) if weights is None else build_classifier(weights)
        rows, segments = (_count_rows(model.graph, name) for name in ("input_ids", "token_type_ids"))
        self._tokens = PairTokens(folder, max_tokens=max_tokens, rows=rows, segments=segments or 0)
        if weights is None:
            self._digest = _hash_files(file, folder, f"{_VERSION} {max_tokens} {int8}")
        else:
            self._digest = hash_folder(folder, max_tokens) + f" int8 {_VERSION}" * int8
        self._session = _open_session(file, model, int8=int8)
        self._inputs = _check_inputs(file, self._session)
        self._output = _find_output(file, self._session)
        self._pool = ThreadPoolExecutor(threads, "score") if threads > 1 else None
        self._sign = 1
        outputs = self._probe(max_tokens)
        self._sign = find_relevance_sign(outputs, _read_labels(folder))

    @property
    def digest(self) -> str:
        """The SHA-256 of its files, limit and precision."""
        return self._digest

    def score_pairs(self, pairs: Sequence[Pair]) -> Floats:
        """Return the logit of each pair's relevance: (pairs,) float32.

        Raises:
            TrainingError: the graph fails.
        """
        texts = self._tokens.encode(pairs)
        batches = list(batch_by_length([len(text.ids) for text in texts]))
        rows = [[texts[i] for i in batch] for batch in batches]
        run = self._pool.map if self._pool else map
        found = np.empty(len(pairs), np.float32)
        for batch, outputs in zip(batches, run(self._run, rows), strict=True):
            found[batch] = compute_relevance(outputs, self._sign)
        return found

    def _run(self, texts: Sequence[Encoding]) -> Floats:
        """Return the graph's outputs: (pairs, outputs) float32."""
        width = max(len(text.ids) for text in texts)
        padded = np.zeros((len(_INPUTS), len(texts), width), np.int64)
        padded[0] = self._tokens.padding
        for row, text in enumerate(texts):
            padded[:, row, : len(text.ids)] = (text.ids, text.attention_mask, text.type_ids)
        return self._feed(padded)

    def _feed(self, padded: npt.NDArray[np.int64]) -> Floats:
        feeds = {
            name: values.astype(self._inputs[name])
            for name, values in zip(_INPUTS, padded, strict=True)
            if name in self._inputs
        }
        try:
            outputs = self._session.run([self._output], feeds)[0]
        except Exception as error:  # ONNX Runtime has no common error class of its own
            raise TrainingError(f"expected scores of {self._file}, found: {error}") from error
        scores: Floats = np.asarray(outputs, np.float32).reshape(len(padded[0]), -1)
        return scores

    def _probe(self, max_tokens: int) -> int:
        """Score two rows of the largest length and token, and return how many outputs there are."""
        [text] = self._tokens.encode([("a", "b")])
        row = np.array([(text.ids, text.attention_mask, text.type_ids)]).transpose(1, 0, 2)
        filler = np.array([self._tokens.largest, 1, text.type_ids[-1]])[:, None, None]
        longest = np.concatenate([row, np.repeat(filler, max(0, max_tokens - row.shape[2]), axis=2)], axis=2)
        try:
            outputs = self._feed(np.repeat(longest, 2, axis=1))
        except TrainingError as error:
            raise TrainingError(
                f"expected {self._file} to read {max_tokens} tokens, up to number {self._tokens.largest}, the"
                f" tokenizer's last: lower max_tokens, or give the tokenizer of this model. {error}"
            ) from error
        if not np.isfinite(outputs).all():
            raise TrainingError(f"expected finite scores of {self._file}, found NaN or infinity")
        return int(outputs.shape[1])


def _load_graph(file: Path) -> onnx.ModelProto:
    try:
        return onnx.load(file)
    except Exception as error:  # protobuf and onnx have no common error class
        raise TrainingError(f"expected an ONNX model in {file}, found: {error}") from error


def _open_session(file: Path, model: onnx.ModelProto, *, int8: bool) -> onnxruntime.InferenceSession:
    """Open the file itself, or what is made from it in memory."""
    source: str | bytes = str(file)
    try:
        changed = int8 or file.is_dir()
        if is_quantised(model):
            dequantise(model)
            changed = True
        if int8:
            quantise_products(model)
        if changed:
            source = model.SerializeToString()
    except ExportError as error:
        raise TrainingError(f"{file}: {error}") from error
    except Exception as error:  # of protobuf, which has none of its own for what is too large
        raise TrainingError(f"expected a model below 2 GB in float32 in {file}, found: {error}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"], disabled_optimizers=_SLOW_FUSIONS
        )
    except Exception as error:  # ONNX Runtime has no common error class of its own
        raise TrainingError(f"expected an ONNX model in {file}, found: {error}") from error


def _check_inputs(file: Path, session: onnxruntime.InferenceSession) -> dict[str, npt.DTypeLike]:
    """Return the type of each input."""
    inputs = {each.name: each.type for each in session.get_inputs()}
    ranks = {len(each.shape) for each in session.get_inputs()}
    known = set(_INPUTS) >= set(inputs) >= set(_INPUTS[:2])
    if not known or ranks != {2} or not set(inputs.values()) <= set(_TYPES):
        raise TrainingError(
            f"{file}: expected the inputs input_ids and attention_mask, perhaps token_type_ids, of integers"
            f" (batch, tokens), found {inputs}: a cross-encoder is exported with them"
        )
    return {name: _TYPES[kind] for name, kind in inputs.items()}


def _find_output(file: Path, session: onnxruntime.InferenceSession) -> str:
    outputs = {each.name: each for each in session.get_outputs()}
    chosen = outputs.get("logits") or (next(iter(outputs.values())) if len(outputs) == 1 else None)
    if chosen is None or len(chosen.shape) > 2 or "float" not in chosen.type:
        raise TrainingError(
            f"{file}: expected one float output logits (batch, 1 or 2), found"
            f" {', '.join(f'{name} {each.shape}' for name, each in outputs.items())}: an encoder gives"
            " vectors, not scores"
        )
    return str(chosen.name)


def _count_rows(graph: onnx.GraphProto, name: str) -> int | None:
    """Return the rows of the table that an input's numbers are looked up in, if the graph shows it."""
    view = GraphView(graph)
    for node in graph.node:
        if node.op_type == "Gather" and node.input[1] == name:
            table = view.tensor(node.input[0])
            if table is not None and len(table.dims) == 2:
                return int(table.dims[0])
    return None


def _read_labels(folder: Path) -> dict[int, str] | None:
    """Return `id2label`, which transformers leaves out if nobody named the outputs; None without a file."""
    file = folder / CONFIG_FILE
    if not file.exists():
        return None
    labels = read_json(file, dict[str, msgspec.Raw]).get("id2label")
    if labels is None:
        return {0: "LABEL_0", 1: "LABEL_1"}
    try:
        return msgspec.json.decode(labels, type=dict[int, str])
    except msgspec.MsgspecError as error:
        raise TrainingError(
            f"{file}: expected id2label with a name for each number, found: {error}"
        ) from error


def _hash_files(file: Path, folder: Path, settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    beside = {
        entry.value
        for tensor in onnx.load(file, load_external_data=False).graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    files = [file, *(file.parent / name for name in sorted(beside)), folder / TOKENIZER_FILE]
    config = folder / CONFIG_FILE
    for each in [*files, *([config] if config.exists() else [])]:
        digest.update(each.name.encode() + each.read_bytes())
    return digest.hexdigest()
