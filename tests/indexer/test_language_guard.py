"""The guard's limits on public collections: English ones, and eleven that an English bundle does not read."""

from functools import cache

import numpy as np
import pytest

from tests.benchmarks.languages import GuardFigures, measure_guard
from tests.support.public_data import public_collection

ENGLISH = (
    "cacm", "cranfield", "epqa_dev", "homedepot", "msmarco_dl21", "nfcorpus", "npl", "nq_dev", "squad2_dev",
    "trecqa", "wikiqa",
)  # fmt: skip
OTHERS = ("de", "fr", "it", "es", "pt_br", "pl", "ru", "uk", "ja", "ko", "zh_cn")


@cache
def figures(name: str) -> GuardFigures:
    return measure_guard(public_collection(name), ("en",))


@pytest.mark.parametrize("name", ENGLISH)
def test_english_searches_pass(name: str) -> None:
    found = figures(name)
    assert found.sample.find_settings(["en"]) is None
    assert found.by_script == 0
    assert found.by_query <= 0.03 * found.num_queries


def test_few_english_queries_look_foreign() -> None:
    found = [figures(name) for name in ENGLISH]
    assert sum(each.by_query for each in found) <= 0.005 * sum(each.num_queries for each in found)


@pytest.mark.parametrize("language", OTHERS)
def test_an_index_in_another_language_is_known_by_its_texts(language: str) -> None:
    name, share = figures(f"debian_{language}").main
    assert (name, share >= 0.95) == (language[:2], True)


def test_nine_of_ten_queries_in_other_languages_are_known_by_themselves() -> None:
    found = [figures(f"debian_{language}") for language in OTHERS]
    assert np.mean([each.by_query / each.num_queries for each in found]) >= 0.9
