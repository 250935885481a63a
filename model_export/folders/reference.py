"""What a folder's own model makes of a text: sentence-transformers computes it if installed, else torch.

The tokeniser, the architecture and the pooling are theirs, not the exporter's: so a difference shows a folder
that was read wrongly.
"""

import importlib
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from model_export.errors import ExportError
from model_export.folders.modules import MODULES_FILE
from model_export.folders.reader import ModelFolder, TowerPlan, load_dense
from reranker.arrays import Floats

Side = Literal["query", "document"]

MIN_COSINE = 0.9999
"""The least cosine to a reference in float32."""


class Reference(Protocol):
    """The vectors that a bundle's are compared with."""

    name: str
    min_cosine: float
    """The least cosine of a base in float32 to the reference: only rounding may differ."""

    def encode(self, side: Side, texts: Sequence[str], *, max_tokens: int) -> Floats:
        """Encode texts, cut after `max_tokens`, each by itself: -> (texts, dim) float32 unit vectors."""
        ...


def open_reference(folder: ModelFolder) -> Reference:
    """Return the best reference that is installed and knows the folder's files.

    Raises:
        ExportError: neither sentence-transformers nor transformers reads the folder.
    """
    library = _import_library()
    if library is None or folder.files.find(MODULES_FILE) is None:
        return TorchReference(folder)
    return SentenceTransformersReference(folder, library)


def _import_library() -> Any:  # noqa: ANN401 - it need not be installed
    """Return sentence-transformers 5 or later; None without it, or if it cannot be imported."""
    try:
        library = importlib.import_module("sentence_transformers")
    except ImportError:
        return None
    return library if hasattr(library.SentenceTransformer, "encode_query") else None


class SentenceTransformersReference:
    """The folder's model in sentence-transformers, without a network and without code of the model's own."""

    name = "sentence-transformers"
    min_cosine = MIN_COSINE

    def __init__(self, folder: ModelFolder, library: Any) -> None:  # noqa: ANN401 - the module itself
        root = folder.files.root
        try:
            self._model: Any = library.SentenceTransformer(
                str(root),
                device="cpu",
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": torch.float32},
            )
        except (OSError, ValueError, RuntimeError, TypeError, ImportError) as error:
            raise ExportError(f"expected a model of {self.name} in {root}, found: {error}") from error
        self._folder = folder

    def encode(self, side: Side, texts: Sequence[str], *, max_tokens: int) -> Floats:
        """Encode texts, cut after `max_tokens`, each by itself: -> (texts, dim) float32 unit vectors."""
        encode = self._model.encode_query if side == "query" else self._model.encode_document
        self._limit(max_tokens)
        vectors = encode(
            list(texts),
            prompt=self._folder.sides[side].prompt,
            batch_size=1,
            normalize_embeddings=True,
            truncate_dim=self._folder.options.dim,
            show_progress_bar=False,
        )
        return np.asarray(vectors, np.float32)

    def _limit(self, max_tokens: int) -> None:
        for module in self._model.modules():
            if hasattr(module, "max_seq_length") and hasattr(module, "tokenizer"):
                module.max_seq_length = max_tokens


class TorchReference:
    """The folder's transformer in transformers, and pooling and head in a few lines of torch."""

    name = "transformers"
    min_cosine = MIN_COSINE

    def __init__(self, folder: ModelFolder) -> None:
        self._folder = folder
        self._tokenizers: dict[str, Any] = {}
        self._models: dict[str, Any] = {}
        for place in folder.encoders:
            path = folder.files.root / place
            try:
                self._tokenizers[place] = AutoTokenizer.from_pretrained(
                    path, local_files_only=True, trust_remote_code=False
                )
                model = AutoModel.from_pretrained(
                    path,
                    local_files_only=True,
                    trust_remote_code=False,
                    use_safetensors=True,
                    dtype=torch.float32,
                )
            except (OSError, ValueError, RuntimeError, TypeError, ImportError) as error:
                raise ExportError(f"expected a model in {path}, found: {error}") from error
            self._models[place] = model.train(mode=False)

    def encode(self, side: Side, texts: Sequence[str], *, max_tokens: int) -> Floats:
        """Encode texts, cut after `max_tokens`, each by itself: -> (texts, dim) float32 unit vectors."""
        about = self._folder.sides[side]
        with torch.no_grad():
            vectors = [self._encode(about.plan, about.prompt + text, max_tokens) for text in texts]
            whole = torch.stack(vectors)[:, : self._folder.options.dim]
            found: Floats = torch.nn.functional.normalize(whole, dim=1).numpy()
        return found

    def _encode(self, plan: TowerPlan, text: str, max_tokens: int) -> torch.Tensor:
        tokens = self._tokenizers[plan.folder](
            text, truncation=True, max_length=max_tokens, return_tensors="pt"
        )
        states = self._models[plan.folder](**tokens).last_hidden_state[0]
        vector = _pool(plan, states)
        for module in plan.head:
            if module is None:
                vector = vector / vector.norm()
            else:
                vector = load_dense(module, self._folder.heads[module.folder])(vector)
        return vector


def _pool(plan: TowerPlan, states: torch.Tensor) -> torch.Tensor:
    """Pool the states (tokens, hidden) of one text."""
    if plan.pooling == "last":
        return states[-1]
    kept = states[plan.skipped :]
    if plan.pooling == "cls":
        return kept[0]
    if plan.pooling == "mean":
        return kept.mean(dim=0)
    weights = torch.arange(plan.skipped + 1, len(states) + 1).float()[:, None]
    return (kept * weights).sum(dim=0) / weights.sum()
