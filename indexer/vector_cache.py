"""Texts to stored vectors, each text once: a bounded cache before the encoder."""

import threading
from collections.abc import Callable, Mapping, Sequence

from cachetools import LRUCache

from reranker.arrays import Floats
from reranker.errors import EncodingError, StoredVectorError
from reranker.stored_vector import pack
from reranker.text import Chunking

Encode = Callable[[Sequence[str], Chunking], Sequence[Floats]]

CACHE_BYTES = 8 * 1024 * 1024
"""Stored vectors kept: some 15,000 of one 384-d int8 chunk."""

_ENTRY_BYTES = 150
"""The size of an entry in addition to its vector."""


class PackedVectors:
    """Encodes texts and caches their stored vectors. A text that fails does not affect the others.

    Args:
        encode: the document tower.
        model_tag: the tag that marks its vectors.
        cache_bytes: how much is kept, the least recently used going first.
    """

    def __init__(self, encode: Encode, model_tag: int, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._encode = encode
        self._model_tag = model_tag
        self._lock = threading.Lock()
        self._cache: LRUCache[int, bytes] = LRUCache(
            cache_bytes, getsizeof=lambda packed: len(packed) + _ENTRY_BYTES
        )

    def known(self, hashed: int) -> bytes | None:
        """Return the vector of a text that was encoded lately, by its hash."""
        with self._lock:
            return self._cache.get(hashed)

    def __call__(self, texts: Mapping[int, str], chunking: Chunking) -> dict[int, bytes | None]:
        """Return the stored vectors of texts by their hashes; None for one that cannot be encoded."""
        found = {hashed: self.known(hashed) for hashed in texts}
        missing = {hashed: text for hashed, text in texts.items() if found[hashed] is None}
        return found | self._encode_missing(missing, chunking)

    def _encode_missing(self, texts: Mapping[int, str], chunking: Chunking) -> dict[int, bytes | None]:
        if not texts:
            return {}
        try:
            arrays = self._encode(list(texts.values()), chunking)
        except EncodingError:
            if len(texts) == 1:
                return dict.fromkeys(texts)
            alone = ({hashed: text} for hashed, text in texts.items())
            return {
                hashed: packed
                for one in alone
                for hashed, packed in self._encode_missing(one, chunking).items()
            }
        return {hashed: self._keep(hashed, values) for hashed, values in zip(texts, arrays, strict=True)}

    def _keep(self, hashed: int, values: Floats) -> bytes | None:
        try:
            packed = pack(values, text_hash=hashed, model_tag=self._model_tag)
        except StoredVectorError:
            return None
        with self._lock:
            if len(packed) + _ENTRY_BYTES <= self._cache.maxsize:
                self._cache[hashed] = packed
        return packed
