"""Teachers: models that give a pair of query and document a logit of relevance."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from tokenizers import Encoding
from transformers import AutoModelForSequenceClassification

from model_export.errors import TrainingError
from model_export.model.base import Base
from model_export.model.checkpoint import check_finite, check_types
from model_export.model.tokens import tokenise
from model_export.model.vectors import encode_tokens
from model_export.train.device import choose_device
from model_export.train.pair_tokens import Pair as Pair
from model_export.train.pair_tokens import PairTokens
from model_export.train.relevance import find_relevance_sign
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.text import Chunking

BATCH = 32


class Teacher(Protocol):
    """A model that labels pairs."""

    @property
    def digest(self) -> str:
        """A digest that identifies this teacher's scores."""
        ...

    def score_pairs(self, pairs: Sequence[Pair]) -> Floats:
        """Return the logit of each pair's relevance: (pairs,) float32."""
        ...


class CrossEncoder:
    """A sequence classifier over `[CLS] query [SEP] document [SEP]`, with one output or two classes.

    The logit is the output, or z[1] - z[0] of two whose second is relevance. Source: TwinBERT (arXiv
    2002.06275), section 3.4: the teacher is BERT on the concatenated texts.

    Raises:
        TrainingError: the folder holds no such model with its `tokenizer.json`; its labels say nothing about
            relevance; or `max_tokens` are more than it has positions for.
        ExportError: its weights are quantised or not finite, or the tokeniser is another model's.
    """

    def __init__(self, folder: Path, *, max_tokens: int = 256, device: str = "cpu") -> None:
        model = load_classifier(folder)
        config = model.config
        positions = getattr(config, "max_position_embeddings", max_tokens)
        if max_tokens > positions:
            raise TrainingError(
                f"expected at most {positions} tokens, which {folder} has positions for, found {max_tokens}"
            )
        self._sign = find_relevance_sign(config.num_labels, config.id2label)
        segments = getattr(config, "type_vocab_size", 0)
        self._tokens = PairTokens(folder, max_tokens=max_tokens, rows=config.vocab_size, segments=segments)
        self._device = choose_device(device)
        self._model = model.to(self._device)
        self._digest = hash_folder(folder, max_tokens)

    @property
    def digest(self) -> str:
        """The SHA-256 of its files and limit."""
        return self._digest

    def score_pairs(self, pairs: Sequence[Pair]) -> Floats:
        """Return the logit of each pair's relevance: (pairs,) float32."""
        texts = self._tokens.encode(pairs)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i].ids))
        found = np.empty(len(pairs), np.float32)
        with torch.no_grad():
            for start in range(0, len(order), BATCH):
                rows = order[start : start + BATCH]
                logits = compute_logits(self._model, [texts[i] for i in rows], self._device)
                found[rows] = self._sign * logits.cpu().numpy()
        return found


def load_classifier(folder: Path) -> Any:  # noqa: ANN401 - the class is the one that config.json names
    """Load a sequence classifier as transformers writes it, in float32.

    Raises:
        TrainingError: the folder holds none, or not all of its weights.
        ExportError: its weights are quantised or not finite.
    """
    for file in sorted(folder.glob("*.safetensors")):
        check_types(file)
    try:
        loaded: Any = AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
    except Exception as error:
        raise TrainingError(f"expected a sequence classifier in {folder}, found: {error}") from error
    model, report = loaded
    if report["missing_keys"]:
        raise TrainingError(
            f"expected the weights of a classifier in {folder}, found none of"
            f" {sorted(report['missing_keys'])}"
        )
    check_finite(folder, model.state_dict())
    return model.train(mode=False)


def compute_logits(model: Any, texts: Sequence[Encoding], device: torch.device) -> torch.Tensor:  # noqa: ANN401
    """Return the logit of each encoded pair from a classifier of one output or two: (pairs,)."""
    width = max(len(text.ids) for text in texts)
    rows = [
        [values + [0] * (width - len(values)) for values in (text.ids, text.attention_mask, text.type_ids)]
        for text in texts
    ]
    ids, mask, kinds = torch.tensor(rows, device=device).unbind(dim=1)
    logits: torch.Tensor = model(input_ids=ids, attention_mask=mask, token_type_ids=kinds).logits.float()
    return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]


class BiEncoder:
    """A twin encoder as teacher: its crossing's logit. Use it if no cross-encoder is better."""

    def __init__(self, base: Base, folder: Path, *, max_tokens: int = 256) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._tokenizer = folder / f"{hashlib.sha256(base.tokenizer.encode()).hexdigest()[:16]}.json"
        self._tokenizer.write_text(base.tokenizer)
        self._base = base
        self._max_tokens = max_tokens
        self._known: dict[tuple[bool, str], Floats] = {}

    @property
    def digest(self) -> str:
        """The SHA-256 of its weights and limit."""
        digest = hashlib.sha256(f"{self._base.name} {self._max_tokens}".encode())
        for tower in (self._base.query, self._base.document):
            for tensor in tower.state_dict().values():
                digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()

    def score_pairs(self, pairs: Sequence[Pair]) -> Floats:
        """Return the logit of each pair's relevance: (pairs,) float32."""
        queries = torch.from_numpy(self._encode([query for query, _ in pairs], of_query=True))
        documents = torch.from_numpy(self._encode([document for _, document in pairs], of_query=False))
        with torch.no_grad():
            logits: Floats = self._base.crossing(queries, documents).numpy()
        return logits

    def _encode(self, texts: Sequence[str], *, of_query: bool) -> Floats:
        tower = self._base.query if of_query else self._base.document
        missing = sorted({text for text in texts if (of_query, text) not in self._known})
        if missing:
            prefix = self._base.query_prefix if of_query else ""
            ids = tokenise(tower, self._tokenizer, missing, prefix=prefix, max_tokens=self._max_tokens)
            found = encode_tokens(tower, ids)
            self._known |= {(of_query, text): vector for text, vector in zip(missing, found, strict=True)}
        return np.stack([self._known[of_query, text] for text in texts])


class BundleEncoder:
    """A bundle as teacher: its crossing's logit, from ONNX Runtime, over whole documents in chunks."""

    def __init__(self, bundle: Bundle) -> None:
        self._manifest = bundle.manifest
        self._query = bundle.load_query_encoder()
        self._document = bundle.load_document_encoder(threads=1)
        self._crossing = bundle.load_crossing()
        self._known: dict[str, Floats] = {}

    @property
    def digest(self) -> str:
        """The bundle's digest."""
        return self._manifest.digest

    def score_pairs(self, pairs: Sequence[Pair]) -> Floats:
        """Return the logit of each pair's relevance, of a document's best chunk: (pairs,) float32."""
        missing = sorted({document for _, document in pairs} - self._known.keys())
        self._known |= dict(zip(missing, self._document(missing, Chunking()), strict=True))
        queries = {query: self._query(query) for query in {query for query, _ in pairs}}
        crossing = self._manifest.crossing
        best = [self._crossing(queries[query], self._known[document]).max() for query, document in pairs]
        return crossing.scale * np.array(best, np.float32) + crossing.offset


class Ensemble:
    """Several teachers: the mean of their logits."""

    def __init__(self, teachers: Sequence[Teacher]) -> None:
        self._teachers = teachers

    @property
    def digest(self) -> str:
        """The SHA-256 of the teachers' digests."""
        return hashlib.sha256(" ".join(each.digest for each in self._teachers).encode()).hexdigest()

    def score_pairs(self, pairs: Sequence[Pair]) -> Floats:
        """Return the mean logit of each pair's relevance: (pairs,) float32."""
        mean: Floats = np.mean([each.score_pairs(pairs) for each in self._teachers], axis=0, dtype=np.float32)
        return mean


def hash_folder(folder: Path, max_tokens: int) -> str:
    """Return the SHA-256 of a classifier's files, as transformers writes them, and a limit."""
    digest = hashlib.sha256(str(max_tokens).encode())
    for file in sorted(folder.glob("*")):
        if file.suffix in (".json", ".safetensors", ".bin"):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()
