"""The draw of candidates: where each comes from, and that it is the same each time."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.data.collection import search_bm25
from model_export.data.examples import Examples
from model_export.errors import TrainingError
from model_export.labelling.candidates import draw_candidates
from model_export.labelling.recipe import CANDIDATES
from reranker.arrays import Floats
from reranker.crossing import Cosine

pytestmark = pytest.mark.export

CROSSING = Cosine(20.0, -14.0)
WORDS = [f"word{number}" for number in range(40)]


def make_source(documents: int = 300, queries: int = 20) -> Examples:
    random = np.random.default_rng(1)
    texts = {f"d{i}": " ".join(random.choice(WORDS, 12)) for i in range(documents)}
    asked = {f"q{i}": " ".join(random.choice(WORDS, 3)) for i in range(queries)}
    return Examples(asked, texts, {f"q{i}": {f"d{i}": 1.0} if i else {} for i in range(queries)})


def make_vectors(source: Examples) -> tuple[dict[str, Floats], Floats]:
    random = np.random.default_rng(2)
    found = random.normal(size=(len(source.queries) + len(source.documents), 8)).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return dict(zip(source.queries, found, strict=False)), found[len(source.queries) :]


def draw(source: Examples, seed: int = 1) -> dict[str, list[str]]:
    return draw_candidates(source, list(source.queries), make_vectors(source), CROSSING, seed=seed)


def test_candidates_come_from_where_the_recipe_says() -> None:
    source = make_source()
    vectors, passages = make_vectors(source)
    hits = search_bm25(source.documents, source.queries)
    ids = np.array(list(source.documents))
    for query, found in draw(source).items():
        assert len(set(found)) == CANDIDATES
        own = source.list_relevant(query)
        assert found[: len(own)] == own
        drawn, ranked = found[len(own) :], list(hits[query])
        best = ids[np.argsort(-(passages @ vectors[query]))].tolist()
        assert set(drawn[:4]) <= set(ranked[:5])
        assert set(drawn[4:10]) <= set(ranked[4 if own and own[0] in ranked[:5] else 5 :])
        unseen = [each for each in best if each not in found[: len(own) + 10]]
        assert drawn[10:-1] == unseen[: len(drawn[10:-1])]
        assert len(drawn[10:-1]) == (4 if own else 5)


def test_later_hits_are_likelier_if_the_crossing_scores_them_higher() -> None:
    source = make_source(queries=200)
    vectors, passages = make_vectors(source)
    places = {document: place for place, document in enumerate(source.documents)}
    scores = {
        query: CROSSING(vectors[query], passages[[places[each] for each in found[5:11]]])
        for query, found in draw(source).items()
    }
    hits = search_bm25(source.documents, source.queries)
    of_hits = [
        CROSSING(vectors[query], passages[[places[hit] for hit in list(hits[query])[5:]]]).mean()
        for query in scores
    ]
    assert np.mean([each.mean() for each in scores.values()]) > np.mean(of_hits) + 0.2


def test_the_draw_is_decided_by_seed_and_query() -> None:
    source = make_source()
    whole = draw(source)
    assert draw(source) == whole
    assert draw(source, seed=2) != whole
    some = draw_candidates(source, ["q7"], make_vectors(source), CROSSING, seed=1)
    assert some == {"q7": whole["q7"]}


def test_a_query_that_bm25_cannot_find_has_the_bundles_best() -> None:
    source = make_source()
    source.queries["q0"] = "unknown"
    assert len(set(draw(source)["q0"])) == CANDIDATES


def test_too_few_passages_are_refused() -> None:
    with pytest.raises(TrainingError, match="expected at least 16 passages in a source of labels, found 15"):
        draw(make_source(documents=15, queries=2))
