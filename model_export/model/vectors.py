"""Frozen vectors of many texts, stored on disk in parts, so that an interrupted run can go on."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from rich.progress import track

from model_export.model import first_token
from model_export.model.tower import Tower
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.encoder import Ids

PART = 4096
"""Texts in one file."""
BATCH_TOKENS = 8192

Text = TypeVar("Text", str, Ids)


def encode_once(
    encode: Callable[[Sequence[Text]], Floats], texts: Sequence[Text], folder: Path, *, what: str
) -> Floats:
    """Encode texts, or read their vectors from `folder` if they were encoded before: -> (texts, dim) float32.

    A text is what `encode` takes: tokens for `encode_tokens`, the text itself for `encode_as_search`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(texts), PART)
    parts = [
        _encode_part(encode, texts[start : start + PART], folder)
        for start in track(starts, what, transient=True)
    ]
    return np.concatenate(parts) if parts else encode([])


def _encode_part(encode: Callable[[Sequence[Text]], Floats], texts: Sequence[Text], folder: Path) -> Floats:
    plain = [each if isinstance(each, str) else list(each) for each in texts]
    file = folder / f"{hashlib.sha256(repr(plain).encode()).hexdigest()[:24]}.npy"
    if file.exists():
        stored: Floats = np.load(file)
        return stored
    found = encode(texts)
    partial = file.with_suffix(".partial")
    try:
        with partial.open("wb") as out:
            np.save(out, found)
        partial.rename(file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return found


def encode_tokens(tower: Tower, ids: Sequence[Ids]) -> Floats:
    """Encode tokens, longest first, in batches of about BATCH_TOKENS: -> (texts, dim) float32."""
    found = np.empty((len(ids), tower.dim), np.float32)
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    with torch.no_grad():
        while order:
            size = max(1, BATCH_TOKENS // len(ids[order[0]]))
            batch, order = order[:size], order[size:]
            found[batch] = first_token.encode(tower, [ids[i] for i in batch]).float().cpu().numpy()
    return found


def encode_as_search(bundle: Bundle, texts: Sequence[str], *, threads: int) -> Floats:
    """Encode texts as searches do, with a bundle's query tower, one at a time: -> (texts, dim) float32."""
    encode = bundle.load_query_encoder()
    found = np.empty((len(texts), encode.dim), np.float32)
    with ThreadPoolExecutor(threads) as pool:
        for place, vector in enumerate(pool.map(encode, texts)):
            found[place] = vector
    return found
