"""The recipe: what its digest covers, what it refuses, what it keeps out, and the one that is shipped."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.data.collection import JudgedCollection
from model_export.data.examples import Examples, read_query_texts
from model_export.data.sources import Source, name_source
from model_export.data.split import (
    CALIBRATION_SHARE,
    CALIBRATION_SOURCES,
    is_for_calibration,
    normalise_words,
    remove_calibration,
    select_calibration,
)
from model_export.datasets.catalogue import read_catalogue
from model_export.errors import TrainingError
from model_export.labelling.pool import make_pool
from model_export.labelling.recipe import (
    ExcludedCollection,
    Recipe,
    RecipeSource,
    hash_recipe,
    open_bundle,
    read_recipe,
    read_sources,
)
from reranker.bundle import DEFAULT_BUNDLE
from tests.support.indices.small_collection import write_small_collection
from tests.support.paths import ROOT, TINY_BUNDLE
from tests.support.public_data import DATA, public_collection

pytestmark = pytest.mark.export

CONFIGS = ROOT / "model_export" / "configs"
SHIPPED = CONFIGS / "labels.toml"
EVALUATED = {"cranfield", "nfcorpus", "msmarco_dl21", "npl", "cacm", "homedepot", "wikiqa", "trecqa"}
MAY_TRAIN = {
    "nq_dev",
    "squad2_dev",
    "pairs_debian_descriptions",
    "pairs_foldoc",
    "pairs_jargon",
    "pairs_manpages",
}
"""The collections whose licences allow a model that is trained on them to be shipped."""


def write_pairs(file: Path, pairs: dict[str, str]) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{query}\t{text}\n" for query, text in pairs.items()))
    return str(file)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    path = write_pairs(tmp_path / "nq_dev" / "pairs.tsv", {f"what is {i}": f"It is {i}." for i in range(200)})
    excluded = write_small_collection(tmp_path / "judged", num_documents=20, num_queries=5)
    source = RecipeSource(kind="pairs", path=path, licence="MIT")
    return Recipe(str(TINY_BUNDLE), (source,), exclude=(ExcludedCollection(str(excluded)),))


def digest(recipe: Recipe) -> str:
    return hash_recipe(recipe, read_sources(recipe)[1])


def replace_source(recipe: Recipe, **changes: object) -> Recipe:
    return msgspec.structs.replace(recipe, sources=(msgspec.structs.replace(recipe.sources[0], **changes),))


def test_the_digest_covers_what_decides_the_pairs(recipe: Recipe, tmp_path: Path) -> None:
    own = digest(recipe)
    changed = [
        msgspec.structs.replace(recipe, seed=2),
        msgspec.structs.replace(recipe, passage_tokens=64),
        msgspec.structs.replace(recipe, bundle=str(DEFAULT_BUNDLE)),
        msgspec.structs.replace(recipe, exclude=()),
        msgspec.structs.replace(recipe, sources=2 * recipe.sources),
        replace_source(recipe, template="who is {}"),
        replace_source(recipe, max_queries=20),
        replace_source(recipe, max_passages=100),
    ]
    assert len({own, *map(digest, changed)}) == 1 + len(changed)
    moved = Path(recipe.sources[0].path).parent.rename(tmp_path / "elsewhere")
    (moved / "pairs.tsv").rename(tmp_path / "x.tsv")
    (tmp_path / "nq_dev").mkdir()
    (tmp_path / "x.tsv").rename(tmp_path / "nq_dev" / "again.tsv")
    assert digest(replace_source(recipe, path=str(tmp_path / "nq_dev" / "again.tsv"))) == own
    file = tmp_path / "nq_dev" / "again.tsv"
    file.write_text(file.read_text() + "one more\tpair\n")
    assert digest(replace_source(recipe, path=str(file))) != own
    (tmp_path / "judged" / "queries.jsonl.gz").write_bytes(
        gzip.compress(json.dumps({"_id": "1", "text": "another"}).encode())
    )
    assert digest(replace_source(recipe, path=str(file))) != own


def test_what_has_changed_since_the_recipe_was_written_is_refused(recipe: Recipe) -> None:
    checksum = read_sources(recipe)[1][0].checksum
    pinned = replace_source(recipe, checksum=checksum)
    assert digest(pinned) == digest(recipe)
    file = Path(recipe.sources[0].path)
    file.write_text(file.read_text().replace("It is 7.", "It is eight."))
    with pytest.raises(TrainingError, match=f"expected the source .*{checksum}, found sha256:.*label again"):
        read_sources(pinned)
    other = msgspec.structs.replace(recipe, exclude=(ExcludedCollection(recipe.exclude[0].path, "sha256:0"),))
    with pytest.raises(TrainingError, match=r"expected the queries of .*judged with the checksum sha256:0"):
        make_pool(other)
    with pytest.raises(TrainingError, match=r"expected the bundle .* with the checksum sha256:0"):
        open_bundle(msgspec.structs.replace(recipe, bundle_digest="sha256:0"))


def test_a_wrong_recipe_says_what_is_wrong(tmp_path: Path) -> None:
    for content, message in (
        ("", "missing required field `bundle`"),
        ("bundle = 'x'\nsources = []", "length >= 1"),
        ("bundle = 'x'\n[[sources]]\nkind = 'pairs'\npath = 'x'", "missing required field `licence`"),
        ("bundle = 'x'\nteacher = 'y'", "unknown field `teacher`"),
    ):
        (tmp_path / "r.toml").write_text(content)
        with pytest.raises(TrainingError, match=f"expected a recipe of labels in .*{message}"):
            read_recipe(tmp_path / "r.toml")


def test_queries_of_calibration_and_evaluation_are_not_in_the_pool(recipe: Recipe) -> None:
    pool = make_pool(recipe)
    texts = {query.text for query in pool.queries}
    kept_out = {text for i in range(200) if is_for_calibration("nq_dev", text := f"what is {i}")}
    assert 20 < len(kept_out) < 60
    assert texts == {f"what is {i}" for i in range(200)} - kept_out
    copied = read_query_texts(Path(recipe.exclude[0].path))[0]
    file = Path(recipe.sources[0].path)
    file.write_text(file.read_text() + f"{copied.upper()}\tcopied from an evaluation\n")
    assert {query.text for query in make_pool(recipe).queries} == texts


def test_a_text_is_pooled_once_and_own_passages_stay(tmp_path: Path) -> None:
    first = write_pairs(
        tmp_path / "a" / "pairs.tsv", {f"q{i}": "same" if i < 5 else f"p{i}" for i in range(50)}
    )
    second = write_pairs(tmp_path / "b" / "pairs.tsv", {"q1": "other", "q60": "last"})
    sources = (
        RecipeSource(kind="pairs", path=first, licence="MIT", max_queries=10, max_passages=20),
        RecipeSource(kind="pairs", path=second, licence="MIT"),
    )
    pool = make_pool(Recipe(str(TINY_BUNDLE), sources))
    assert len({query.text for query in pool.queries}) == len(pool.queries)
    passages = list(pool.sources[0].documents.values())
    assert len(passages) == len(set(passages)) == 20
    for query in pool.sources[0].queries:
        assert pool.sources[0].list_relevant(query), "its own passage is kept"


def test_the_calibration_split_is_by_words_and_for_two_sources_alone() -> None:
    texts = [f"who wrote volume {i} of the series" for i in range(4000)]
    kept = [text for text in texts if is_for_calibration("nq_dev", text)]
    assert abs(len(kept) / len(texts) - CALIBRATION_SHARE) < 0.03
    assert all(is_for_calibration("squad2_dev", f"{text.upper()}?") for text in kept)
    assert not any(is_for_calibration("pairs_foldoc", text) for text in texts)
    words = {normalise_words(text) for text in kept}
    assert not any(normalise_words(text) in words for text in texts if text not in kept)


def test_no_training_learns_from_queries_of_calibration() -> None:
    texts = {f"{source}/{i}": f"who wrote volume {i}" for source in range(3) for i in range(100)}
    sources = [
        Source(kind="beir", path="var/data/squad2_dev", licence="CC BY-SA 4.0"),
        Source(kind="beir", path="var/data/squad2_dev", licence="CC BY-SA 4.0", spans=2),
        Source(kind="beir", path="var/data/other", licence="MIT"),
    ]
    left = remove_calibration(Examples(texts, {}, {}), sources).queries
    lost = set(texts) - set(left)
    assert lost
    assert lost == {i for i, text in texts.items() if i[0] == "0" and is_for_calibration("squad2_dev", text)}


def test_calibration_can_be_fitted_on_the_queries_that_are_kept_for_it() -> None:
    texts = {str(i): f"who wrote volume {i}" for i in range(300)}
    collection = JudgedCollection("nq_dev", {}, texts, {}, None)
    kept = {i: text for i, text in texts.items() if is_for_calibration("nq_dev", text)}
    assert select_calibration(collection, 300).queries == kept
    assert select_calibration(collection, 7).queries == dict(list(kept.items())[:7])
    other = replace(collection, name="cranfield")
    assert select_calibration(other, 7).queries == dict(list(texts.items())[:7])
    others = {i: text for i, text in texts.items() if i not in kept}
    with pytest.raises(TrainingError, match="queries of nq_dev that are kept for calibration, found none"):
        select_calibration(replace(collection, queries=others), 300)


def test_the_small_recipe_names_only_what_is_fetched_without_work_by_hand() -> None:
    small, whole = read_recipe(CONFIGS / "small_labels.toml"), read_recipe(SHIPPED)
    paths = [*(each.path for each in small.sources), *(each.path for each in small.exclude)]
    named = set(map(name_source, paths))
    automatic = {name for name, dataset in read_catalogue().items() if dataset.is_automatic}
    assert EVALUATED & automatic <= named <= automatic
    assert set(small.sources) <= set(whole.sources)
    assert set(small.exclude) <= set(whole.exclude)
    assert (small.bundle, small.bundle_digest) == (whole.bundle, whole.bundle_digest)


def test_the_shipped_recipe_names_what_may_be_used_by_checksum() -> None:
    recipe = read_recipe(SHIPPED)
    assert {name_source(each.path) for each in recipe.sources} <= MAY_TRAIN
    assert set(CALIBRATION_SOURCES) <= MAY_TRAIN
    assert {name_source(each.path) for each in recipe.exclude} >= EVALUATED
    assert all(each.checksum for each in recipe.sources)
    assert all(each.checksum for each in recipe.exclude)
    assert recipe.bundle_digest


def test_the_shipped_recipe_fits_the_collections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    recipe = read_recipe(SHIPPED)
    for path in [*(each.path for each in recipe.sources), *(each.path for each in recipe.exclude)]:
        public_collection(name_source(path))
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "data").symlink_to(DATA.resolve())
    monkeypatch.chdir(tmp_path)
    pool = make_pool(recipe)
    assert 15_000 <= len(pool.queries) <= 28_000
    assert hash_recipe(recipe, pool.named) == pool.digest, "without the excluded collections too"
    names = [each.name for each in pool.named]
    assert not any(is_for_calibration(names[each.source], each.text) for each in pool.queries)
