"""OpenSearch's answer, read and rebuilt from its own bytes."""

import json
from typing import Any

import pytest

from opensearch.search.response import SearchResponse, UnusableResponseError
from opensearch.search.scores import copy_score


def answer(hits: str = "", **members: object) -> bytes:
    known = {
        "took": 3,
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
    }
    top = json.dumps({**known, **members}, separators=(",", ":"))
    envelope = f'{{"total":{{"value":3,"relation":"eq"}},"max_score":2.50,"hits":[{hits}]}}'
    return f'{top[:-1]},"hits":{envelope}}}'.encode()


def hits(*scores: str) -> str:
    return ",".join(f'{{"_index":"b","_id":"{i}","_score":{score}}}' for i, score in enumerate(scores))


def test_the_kth_hit_of_a_page_carries_the_kth_score() -> None:
    found = SearchResponse.parse(answer(hits("2.50", "1.5", "1.0")))
    page = found.with_hits([copy_score(found.hits[2], found.hits[0]), copy_score(*found.hits[:2])])
    found = json.loads(page, parse_float=str)["hits"]
    assert [(each["_id"], each["_score"]) for each in found["hits"]] == [("2", "2.50"), ("0", "1.5")]


def test_first_stage_order_gives_the_very_bytes() -> None:
    body = answer(hits("2.50", "1.5"), aggregations={"n": {"value": 1.10}})
    found = SearchResponse.parse(body)
    assert found.with_hits(found.hits) == body


@pytest.mark.parametrize(
    "members", [{"timed_out": True}, {"_shards": {"total": 2, "failed": 1}}, {"_shards": 1}]
)
def test_a_partial_answer_is_unusable(members: dict[str, Any]) -> None:
    with pytest.raises(UnusableResponseError):
        SearchResponse.parse(answer(**members))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"---\ntook: 1", b'{"hits":{}}', answer(hits("1"))[:-1], b'"\xff"']
)
def test_what_is_no_search_answer_is_unusable(body: bytes) -> None:
    with pytest.raises(UnusableResponseError):
        SearchResponse.parse(body)


@pytest.mark.parametrize("score", ["null", '"x"'])
def test_a_hit_without_score_is_unusable(score: str) -> None:
    with pytest.raises(UnusableResponseError):
        SearchResponse.parse(answer(hits(score))).scores()
