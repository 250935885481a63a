"""The groups to score: a passage is cut alike for the teacher and for the draw."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

pytest.importorskip("torch", reason="needs torch: the export extra")

import msgspec

from model_export.labelling.groups import GroupMaker
from model_export.labelling.pool import make_pool
from model_export.labelling.recipe import CANDIDATES
from tests.support.indices.label_recipe import write_recipe
from tests.support.indices.small_collection import write_small_collection
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.export

TOKENS = 24


@pytest.fixture
def groups(tmp_path: Path) -> GroupMaker:
    data = write_small_collection(tmp_path / "stdlib", num_documents=60, num_queries=12)
    recipe = write_recipe(tmp_path / "recipe.toml", data, TINY_BUNDLE)
    pool = make_pool(msgspec.structs.replace(recipe, passage_tokens=TOKENS))
    return GroupMaker(pool, tmp_path / "cache", threads=1)


def test_a_passage_is_cut_at_the_limit_of_tokens(groups: GroupMaker) -> None:
    tokenizer = Tokenizer.from_file(str(TINY_BUNDLE / "tokenizer.json"))
    text = "Return the Größe of a list, and sort it in place. " * 20
    cut = groups.cut(text)
    assert text.startswith(cut)
    assert tokenizer.encode(cut).ids[:-1] == tokenizer.encode(text).ids[: TOKENS - 1]
    assert groups.cut("Sort it.") == "Sort it."
    assert groups.cut("") == ""
    assert groups.cut("odd \ud800") == "odd ?"


def test_the_vector_is_that_of_the_passage_as_it_is_cut(groups: GroupMaker) -> None:
    text = "Return the size of a list, and sort it in place. " * 20
    whole, cut, short = groups.encode_passages([text, groups.cut(text), "Sort it."])
    assert whole == pytest.approx(cut, abs=1e-6)
    assert not np.allclose(whole, short, atol=1e-3)


def test_groups_are_in_the_order_of_the_queries(groups: GroupMaker) -> None:
    queries = groups.pool.queries[3:9]
    found = groups.draw(queries)
    assert [each.query for each in found] == [each.text for each in queries]
    assert all(len(set(each.candidates)) == CANDIDATES for each in found)
    assert groups.draw(queries[::-1]) == found[::-1]
    assert groups.draw([]) == []
