"""Pins in an answer: totals of every form, scores, and whose a click on a hit is."""

import json
from io import BytesIO
from typing import Any

import pytest
from msgspec import Raw

from opensearch.search.pins import PinnedHit, PinnedPage
from opensearch.search.request import SearchRequest
from opensearch.search.response import UnusableResponseError
from opensearch.settings.skip import Skip
from opensearch.settings.target import Target
from plugin.experiments.attributes import TEAMS
from plugin.http.messages import Request, Response
from plugin.search.page_agreement import PageAgreement
from plugin.search.pins import can_pin, insert_pins
from plugin.search.search import Search
from plugin.telemetry.outcome import SearchOutcome, outcome_of


def search_with(*pins: tuple[str, int], start: int = 0, end: int = 4) -> Search:
    hits = [
        PinnedHit({"_id": Raw(json.dumps(id_).encode()), "_score": Raw(b"0.5")}, "a", id_, position)
        for id_, position in pins
    ]
    request = Request("POST", "/a/_search", (), BytesIO(), 0)
    asked, skip, target = SearchRequest("/a/_search", {}, {}), Skip("deadline"), Target(Skip("deadline"))
    page = PageAgreement().find_page(request, asked, target, skip)
    return Search(request, "a", asked, target, skip, None, page, pinned=PinnedPage(tuple(hits), start, end))


def response_of(total: object, *scores: float, **outcome: Any) -> Response:  # noqa: ANN401
    hits = [{"_id": f"o{number}", "_score": score} for number, score in enumerate(scores)]
    whole: dict[str, Any] = {"max_score": max(scores, default=None), "hits": hits}
    whole |= {} if total is None else {"total": total}
    answer = {"took": 1, "timed_out": False, "_shards": {"total": 1, "failed": 0}, "hits": whole}
    return Response(200, (), json.dumps(answer).encode(), outcome=SearchOutcome("applied", **outcome))


def hits_of(response: Response) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    found: dict[str, Any] = json.loads(response.body)["hits"]
    return found


TOTALS: list[tuple[object, object]] = [
    ({"value": 2, "relation": "eq"}, {"value": 4, "relation": "eq"}),
    ({"value": 2, "relation": "gte"}, {"value": 2, "relation": "gte"}),
    (2, 4),
    (None, None),
]


@pytest.mark.parametrize(("total", "wanted"), TOTALS, ids=str)
def test_a_total_that_is_exact_counts_the_pins(total: object, wanted: object) -> None:
    found = hits_of(insert_pins(search_with(("p", 1), ("q", 3)), response_of(total, 3.0, 2.0)))
    assert [hit["_id"] for hit in found["hits"]] == ["p", "o0", "q", "o1"]
    assert [hit["_score"] for hit in found["hits"]] == [3, 3, 3, 2]
    assert found.get("total") == wanted


def test_a_click_on_a_pin_is_nobodys() -> None:
    answer = response_of(None, 4.0, 3.0, 2.0, attributes={TEAMS: "a,b,-"})
    outcome = outcome_of(insert_pins(search_with(("p", 2)), answer))
    assert isinstance(outcome, SearchOutcome)
    assert outcome.attributes[TEAMS] == "a,-,b,-"


def test_hits_before_the_page_are_left_out_again() -> None:
    """Those that were asked for to know the neighbour's score, and where the list ends."""
    page = search_with(("p", 3), start=2, end=4)
    found = hits_of(insert_pins(page, response_of(None, 5.0, 4.0)))
    assert [(hit["_id"], hit["_score"]) for hit in found["hits"]] == [("p", 5.0), ("o1", 4.0)]


def test_an_incomplete_answer_takes_no_pins() -> None:
    answer = Response(200, (), b'{"timed_out": true, "_shards": {"failed": 0}, "hits": {"hits": []}}')
    with pytest.raises(UnusableResponseError):
        insert_pins(search_with(("p", 1)), answer)
    refused = Response(400, (), b"{}")
    assert insert_pins(search_with(("p", 1)), refused) is refused


@pytest.mark.parametrize(
    ("body", "parameters", "can"),
    [
        ({"query": {"match_all": {}}}, {}, True),
        ({"collapse": {"field": "a"}}, {}, False),
        ({}, {"filter_path": "hits"}, False),
        ({"stored_fields": "_none_"}, {}, False),
        ({"size": "many"}, {}, False),
        ({}, {"from": "-1"}, False),
        ({"ext": 5}, {}, False),
    ],
    ids=str,
)
def test_pins_need_a_page_of_whole_hits(
    body: dict[str, Any], parameters: dict[str, str], *, can: bool
) -> None:
    raw = {name: Raw(json.dumps(value).encode()) for name, value in body.items()}
    assert can_pin(SearchRequest("/a/_search", parameters, raw)) == can
