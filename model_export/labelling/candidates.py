"""The draw: sixteen candidates of each query, from BM25's hits, a bundle's own, and chance."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from model_export.data.collection import Hits, search_bm25
from model_export.data.examples import Examples
from model_export.errors import TrainingError
from model_export.labelling.recipe import CANDIDATES
from reranker.arrays import Floats, Positions
from reranker.crossing import Crossing

FIRST_HITS, FROM_FIRST_HITS = 5, 4
"""How many of BM25's first hits are drawn from, and how many are drawn."""
HITS, FROM_LATER_HITS = 100, 6
"""BM25's later hits reach to this rank; so many are drawn, likelier if the crossing scores them higher."""
RANDOM = 1
"""How many are drawn from all passages.

With the passage that the query comes from, four places are left for the bundle's own best passages. They have
more if BM25 finds too few.
"""


def draw_candidates(
    source: Examples,
    queries: Sequence[str],
    vectors: tuple[Mapping[str, Floats], Floats],
    crossing: Crossing,
    *,
    seed: int,
) -> dict[str, list[str]]:
    """Draw CANDIDATES different passages of the source for each query; that with the answer is the first.

    Args:
        source: passages and queries by id.
        queries: the ids of the queries to draw for.
        vectors: query id -> (dim,), and the vectors of `source.documents` in their order (passages, dim).
        crossing: scores a query's vector with passages'.
        seed: decides the draw, with the query's text.

    Raises:
        TrainingError: the source has too few passages.
    """
    if len(source.documents) < CANDIDATES:
        raise TrainingError(
            f"expected at least {CANDIDATES} passages in a source of labels, found {len(source.documents)}"
        )
    of_query, of_passage = vectors
    hits = search_bm25(source.documents, {each: source.queries[each] for each in queries}, HITS)
    drawing = _Drawing(source, hits, crossing, seed)
    return {each: drawing.draw(each, crossing(of_query[each], of_passage)) for each in queries}


class _Drawing:
    """The draw for the queries of one source."""

    def __init__(self, source: Examples, hits: Hits, crossing: Crossing, seed: int) -> None:
        self._source = source
        self._ids = list(source.documents)
        self._places = {document: place for place, document in enumerate(self._ids)}
        self._hits = hits
        self._crossing = crossing
        self._seed = seed

    def draw(self, query: str, scores: Floats) -> list[str]:
        """Draw for one query, given the crossing's scores of all passages: (passages,)."""
        random = _make_random(self._seed, self._source.queries[query])
        hits = [self._places[hit] for hit in self._hits[query]]
        taken = [self._places[each] for each in self._source.list_relevant(query)[:1]]
        first = [hit for hit in hits[:FIRST_HITS] if hit not in taken]
        taken += random.permutation(first)[:FROM_FIRST_HITS].tolist()
        later = np.array([hit for hit in hits[FIRST_HITS:] if hit not in taken], np.intp)
        taken += self._draw_by_score(random, later, scores).tolist()
        best = _list_best(scores, CANDIDATES + len(taken))
        taken += [place for place in best if place not in taken][: CANDIDATES - RANDOM - len(taken)]
        while len(taken) < CANDIDATES:
            place = int(random.integers(len(self._ids)))
            taken += [place] if place not in taken else []
        return [self._ids[place] for place in taken]

    def _draw_by_score(self, random: np.random.Generator, places: Positions, scores: Floats) -> Positions:
        """Draw without replacement, with the odds of the crossing's probability (the Gumbel-max trick)."""
        probability = self._crossing.probability(scores[places]).astype(np.float64).clip(1e-7, 1 - 1e-7)
        logits = np.log(probability) - np.log1p(-probability)
        order = np.argsort(-(logits + random.gumbel(size=len(places))), kind="stable")
        return places[order[:FROM_LATER_HITS]]


def _make_random(seed: int, text: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _list_best(scores: Floats, count: int) -> list[int]:
    """Return the places of the `count` best scores, best first; of equal scores the first place."""
    count = min(count, len(scores))
    reached = np.partition(scores, len(scores) - count)[len(scores) - count]
    places = np.flatnonzero(scores >= reached)
    found: list[int] = places[np.argsort(-scores[places], kind="stable")][:count].tolist()
    return found
