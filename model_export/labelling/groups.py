"""The groups to score: each query with the passages that the recipe draws for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from model_export.labelling.candidates import draw_candidates
from model_export.labelling.pool import Pool, PooledQuery
from model_export.labelling.recipe import hash_bundle, open_bundle
from model_export.model.vectors import encode_as_search, encode_once
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.text import Chunking, replace_surrogates
from reranker.tokens import MAX_CHARS_PER_TOKEN


@dataclass(frozen=True)
class CandidateGroup:
    """A query and its candidates' whole texts."""

    query: str
    candidates: tuple[str, ...]


class GroupMaker:
    """Draws the candidates of queries; vectors are kept in `cache`.

    Raises:
        TrainingError: the recipe's bundle is another, or cannot be used.
    """

    def __init__(self, pool: Pool, cache: Path, *, threads: int) -> None:
        self.pool = pool
        self._bundle = open_bundle(pool.recipe)
        self._vectors = cache / f"vectors-{hash_bundle(self._bundle)[:16]}-{pool.recipe.passage_tokens}"
        self._threads = threads
        self._passages: dict[int, Floats] = {}
        self._crossing = self._bundle.load_crossing()
        self._cutter = _load_cutter(self._bundle, pool.recipe.passage_tokens)

    def draw(self, queries: Sequence[PooledQuery]) -> list[CandidateGroup]:
        """Return the group of each query, in their order."""
        drawn: dict[PooledQuery, CandidateGroup] = {}
        for number, source in enumerate(self.pool.sources):
            own = [each for each in queries if each.source == number]
            if not own:
                continue
            if number not in self._passages:
                self._passages[number] = self.encode_passages(list(source.documents.values()))
            vectors = encode_once(
                self._encode_queries, [each.text for each in own], self._vectors / "queries", what="queries"
            )
            of_query = dict(zip([each.id for each in own], vectors, strict=True))
            found = draw_candidates(
                source,
                list(of_query),
                (of_query, self._passages[number]),
                self._crossing,
                seed=self.pool.recipe.seed,
            )
            for each in own:
                texts = tuple(source.documents[i] for i in found[each.id])
                drawn[each] = CandidateGroup(each.text, texts)
        return [drawn[each] for each in queries]

    def cut(self, passage: str) -> str:
        """Return what the teacher reads of a passage: its first `passage_tokens` tokens."""
        text = replace_surrogates(passage[: self.pool.recipe.passage_tokens * MAX_CHARS_PER_TOKEN])
        end: int = max((end for _, end in self._cutter.encode(text).offsets), default=0)
        return text[:end]

    def encode_passages(self, texts: Sequence[str]) -> Floats:
        """Return the vector of each passage as it is cut: (passages, dim)."""
        encoder = self._bundle.load_document_encoder(threads=self._threads)
        chunking = Chunking(max_tokens=self.pool.recipe.passage_tokens, overlap=0, max_chunks=1)

        def encode(part: Sequence[str]) -> Floats:
            return np.concatenate(encoder(part, chunking))

        return encode_once(encode, texts, self._vectors / "passages", what="passages")

    def _encode_queries(self, texts: Sequence[str]) -> Floats:
        return encode_as_search(self._bundle, texts, threads=self._threads)


def _load_cutter(bundle: Bundle, max_tokens: int) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(bundle.files[bundle.manifest.tokenizer]))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer
