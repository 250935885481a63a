"""Token ids to vectors, through ONNX Runtime on CPU."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from reranker.arrays import Floats
from reranker.errors import EXPORT_AGAIN, BundleError, EncodingError
from reranker.external_data import relocate_data
from reranker.text import Chunking

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Ints = npt.NDArray[np.int64]
Ids = Sequence[int] | Sequence[Sequence[int]]
"""A text's tokens, each one id, or, for tri-letters, each a list of ids."""

DOCUMENT_BATCH_TOKENS = 512
"""How many tokens, padding included, one batch of documents may have: what it computes stays in the
processor's cache. One of 4,096 costs a third more a token (bge-small, int8, AMD EPYC, 1 MiB of L2 a core)."""

PADDING_TOKENS = 16
"""How much padding one batch may have: that many tokens take as long as the overhead of a run."""


DATA_FOLDER_OPTION = "session.model_external_initializers_file_folder_path"
"""ONNX Runtime's option: the folder of external data of a graph that is loaded from memory."""


class Tokeniser(Protocol):
    """Cuts texts into tokens: `Tokens` (word pieces) or `TriLetters`."""

    def query(self, text: str) -> Ids:
        """Return the tokens of one text with its prefix, cut at the encoder's limit."""
        ...

    def chunks(self, text: str, chunking: Chunking) -> Sequence[Ids]:
        """Return the tokens of each chunk of one text."""
        ...


class Encoder:
    """One tower: an ONNX graph that gives pooled unit vectors, (batch, dim) float32, for token ids.

    Args:
        model: the graph's file.
        threads: how many threads compute one batch.
        external_files: where the files of weights are that the graph names; None: beside the graph. They are
            mapped into memory, so all processes of a machine share them.

    Raises:
        BundleError: the file is no ONNX model that this ONNX Runtime loads, or has other inputs or outputs.
    """

    def __init__(
        self, model: Path, *, threads: int = 1, external_files: Mapping[str, Path] | None = None
    ) -> None:
        import onnxruntime  # not above: its import starts threads, which must not be there before a fork

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors: warnings about constant folding are not the user's concern
        source: str | bytes = str(model)
        if external_files is not None:
            folder, source = _gather_data(model, external_files)
            options.add_session_config_entry(DATA_FOLDER_OPTION, folder)
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no common error class of its own
            raise BundleError(f"expected an ONNX model in {model}, found: {error}. {EXPORT_AGAIN}") from error
        self._model = model
        self._inputs = _check_inputs(self._session, model)
        self.dim: int = self._session.get_outputs()[0].shape[1]
        ranks = {node.name: len(node.shape) for node in self._session.get_inputs()}
        self.takes_trigrams = ranks["input_ids"] == 3
        """Whether a token is a list of trigram ids, `input_ids` (batch, tokens, trigrams)."""

    def encode_ids(self, batch: Sequence[Ids]) -> Floats:
        """Encode token lists, padded to the longest of them: -> (len(batch), dim) float32 unit vectors.

        Raises:
            EncodingError: the model fails on the batch.
        """
        ids, mask = pad(batch)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
        try:
            vectors: Floats = self._session.run(None, {name: feeds[name] for name in self._inputs})[0]
        except Exception as error:  # ONNX Runtime has no common error class of its own
            raise EncodingError(
                f"expected vectors of {self._model}, found: {error}. {EXPORT_AGAIN}"
            ) from error
        return vectors


def pad(batch: Sequence[Ids]) -> tuple[Ints, Ints]:
    """Return token lists as one array, padded with 0, and the mask that is 1 for tokens.

    Returns:
        (batch, tokens) int64, or (batch, tokens, trigrams) for tri-letters; the mask is (batch, tokens).
    """
    mask = np.zeros((len(batch), max(map(len, batch))), np.int64)
    for row, tokens in enumerate(batch):
        mask[row, : len(tokens)] = 1
    if not batch[0] or isinstance(batch[0][0], int):
        ids = np.zeros_like(mask)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
        return ids, mask
    flat = [token for tokens in batch for token in tokens if not isinstance(token, int)]
    trigrams = np.zeros((len(flat), max(map(len, flat))), np.int64)
    for place, token in enumerate(flat):
        trigrams[place, : len(token)] = token
    ids = np.zeros((*mask.shape, trigrams.shape[1]), np.int64)
    ids[mask == 1] = trigrams
    return ids, mask


class _TextEncoder:
    """One tower behind its tokeniser."""

    def __init__(self, encoder: Encoder, tokens: Tokeniser) -> None:
        self._encoder = encoder
        self._tokens = tokens

    @property
    def dim(self) -> int:
        """The vectors' dimension."""
        return self._encoder.dim


class QueryEncoder(_TextEncoder):
    """Encodes one query text at a time, on one thread: (dim,) float32, a unit vector."""

    def __call__(self, text: str) -> Floats:
        """Encode one query text: -> (dim,) float32.

        Raises:
            EncodingError: tokeniser or model fails on the text, or the vector is not finite.
        """
        vector: Floats = self._encoder.encode_ids([self._tokens.query(text)])[0]
        if not np.isfinite(vector).all():
            raise EncodingError(f"expected a finite query vector, found others. {EXPORT_AGAIN}")
        return vector

    def num_tokens(self, text: str) -> int:
        """Return how many tokens of the text are encoded, special ones included.

        Raises:
            EncodingError: the tokeniser fails on the text.
        """
        return len(self._tokens.query(text))


class DocumentEncoder(_TextEncoder):
    """Encodes many document texts, each as one or more chunks.

    Args:
        encoder: the tower, on one thread.
        tokens: its tokeniser.
        threads: how many batches are encoded at once. A batch has no work to share among several threads:
            they would wait for each other, and spin meanwhile.
    """

    def __init__(self, encoder: Encoder, tokens: Tokeniser, *, threads: int = 1) -> None:
        super().__init__(encoder, tokens)
        self._pool = ThreadPoolExecutor(threads, "encode") if threads > 1 else None

    def __call__(self, texts: Sequence[str], chunking: Chunking) -> list[Floats]:
        """Encode texts: -> for each one (num_chunks, dim) float32, unit vectors.

        Chunks of all texts are sorted by length before they are batched, so little of one is padding.
        A vector that is not finite is returned as it is: `pack` refuses that one document.

        Raises:
            EncodingError: tokeniser or model fails on one of the texts; none is returned.
        """
        chunks = [self._tokens.chunks(text, chunking) for text in texts]
        flat = [ids for document in chunks for ids in document]
        vectors = np.empty((len(flat), self.dim), np.float32)
        batches = list(batch_by_length([len(ids) for ids in flat]))
        inputs = [[flat[i] for i in positions] for positions in batches]
        for positions, encoded in zip(batches, self._encode_batches(inputs), strict=True):
            vectors[positions] = encoded
        ends = np.cumsum([len(document) for document in chunks])
        return np.split(vectors, ends[:-1]) if texts else []

    def _encode_batches(self, batches: Sequence[Sequence[Ids]]) -> Iterator[Floats]:
        if self._pool is None:
            return map(self._encoder.encode_ids, batches)
        return self._pool.map(self._encoder.encode_ids, batches)

    def num_tokens(self, text: str, chunking: Chunking) -> int:
        """Return how many tokens of the text are encoded, special ones and overlaps included.

        Raises:
            EncodingError: the tokeniser fails on the text.
        """
        return sum(map(len, self._tokens.chunks(text, chunking)))


def batch_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the positions of token lists of these lengths, longest first, in batches of about equal length.

    A batch has at most DOCUMENT_BATCH_TOKENS tokens, padding included, and PADDING_TOKENS of padding, or is
    one list alone.
    """
    batch: list[int] = []
    longest = padding = 0
    for position in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        padding += longest - lengths[position]
        if batch and (padding > PADDING_TOKENS or longest * (len(batch) + 1) > DOCUMENT_BATCH_TOKENS):
            yield batch
            batch = []
        if not batch:
            longest, padding = lengths[position], 0
        batch.append(position)
    if batch:
        yield batch


def _gather_data(model: Path, files: Mapping[str, Path]) -> tuple[str, bytes]:
    """Return a folder above all files, and the graph with their names relative to it.

    ONNX Runtime reads no external data outside the folder that it is given. Links are resolved, because it
    resolves them too.
    """
    real = {name: file.resolve() for name, file in files.items()}
    folder = os.path.commonpath([file.parent for file in real.values()])
    names = {name: str(file.relative_to(folder)) for name, file in real.items()}
    try:
        return folder, relocate_data(model.read_bytes(), names)
    except (OSError, ValueError) as error:
        raise BundleError(f"expected an ONNX model in {model}, found: {error}. {EXPORT_AGAIN}") from error


def _check_inputs(session: "InferenceSession", model: Path) -> list[str]:
    """Return the graph's inputs by name; they and the outputs must be those that are fed and read."""
    required, known = {"input_ids", "attention_mask"}, {"input_ids", "attention_mask", "token_type_ids"}
    inputs = {node.name: node.type for node in session.get_inputs()}
    ranks = [len(node.shape) for node in session.get_inputs()]
    outputs = [(node.name, node.type, len(node.shape)) for node in session.get_outputs()]
    if (
        not required <= set(inputs) <= known
        or set(inputs.values()) != {"tensor(int64)"}
        or not {2} <= set(ranks) <= {2, 3}
        or outputs != [("embedding", "tensor(float)", 2)]
    ):
        raise BundleError(
            f"{model}: expected int64 inputs input_ids, attention_mask (and token_type_ids) and one float"
            f" output embedding (batch, dim), found {inputs} and {outputs}. {EXPORT_AGAIN}"
        )
    return list(inputs)
