"""What each key of `ext` means for a search: the plan, and which of its requests has the key."""

import json
from typing import Any

import msgspec
import pytest

from opensearch.search.decision import Decision, plan_search
from opensearch.search.ext_keys import EXT_KEYS, ExtRule
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.search.window_request import (
    HitName,
    asks_much_of_each_hit,
    can_split,
    request_page_hits,
    request_rescored_page,
    request_window,
    request_window_vectors,
)
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Target
from reranker.manifest import FusionDefault

QUERY: dict[str, Any] = {"match": {"text": "wait a bit"}}
DEFAULTS = FusionDefault("log_linear", 10.0, 0.0, 0.0)
SIDECAR = RerankSettings(model="tiny", source_fields=("text",))
CLUSTER = msgspec.structs.replace(SIDECAR, execution="cluster")
OTHER = "a_key_of_some_plugin"
KEYS = [*EXT_KEYS, OTHER]
RERANKED = [key for key in KEYS if EXT_KEYS.get(key, ExtRule.WHOLE) in (ExtRule.PAGE, ExtRule.WHOLE)]
OF_THE_PAGE = [key for key in KEYS if EXT_KEYS.get(key) is ExtRule.PAGE]


def decide(ext: object, settings: RerankSettings = SIDECAR, **members: Any) -> Decision:  # noqa: ANN401  # any JSON
    body = json.dumps({"query": QUERY, "ext": ext, **members}).encode()
    target = Target(settings, {"books": (settings.field,)})
    return plan_search(SearchRequest.parse("/books/_search", body), target, defaults=DEFAULTS)


def planned(ext: object, settings: RerankSettings = SIDECAR, **members: Any) -> Plan:  # noqa: ANN401
    found = decide(ext, settings, **members).plan
    assert isinstance(found, Plan), found
    return found


def ext_of(body: bytes) -> Any:  # noqa: ANN401
    return json.loads(body).get("ext")


@pytest.mark.parametrize("settings", [SIDECAR, CLUSTER], ids=["sidecar", "cluster"])
@pytest.mark.parametrize("key", KEYS)
def test_a_key_passes_a_search_through_if_its_rule_says_so(key: str, settings: RerankSettings) -> None:
    passes = {ExtRule.FIRST_STAGE} | ({ExtRule.FINAL_ORDER} if settings is SIDECAR else set())
    found = decide({key: {}}, settings).plan
    if EXT_KEYS.get(key) in passes:
        assert found == Skip(key)
    else:
        assert isinstance(found, Plan)
        assert found.in_cluster == (settings is CLUSTER)


@pytest.mark.parametrize("key", ["mmr", "ubi"])
def test_what_is_passed_through_keeps_the_key_and_loses_the_controls(key: str) -> None:
    found = decide({key: {"a": 1.50}, "rerank": {"window_size": 20}})
    assert found.plan == Skip(key)
    assert found.forward is not None
    assert ext_of(found.forward.encode_body()) == {key: {"a": 1.5}}
    assert decide({key: {}}).forward is None, "without controls the client's own bytes are sent"


@pytest.mark.parametrize("ext", [None, [], 5, "ubi", True], ids=str)
def test_what_is_no_object_is_left_to_opensearch(ext: object) -> None:
    assert decide(ext) == Decision(Skip("ext"))


def test_the_first_obstacle_is_the_reason() -> None:
    assert decide({"ubi": {}, OTHER: {}, "mmr": {}}).plan == Skip("mmr")
    assert decide({"ubi": {}, "rerank": {"enabled": False}}).plan == Skip("disabled")


@pytest.mark.parametrize("key", RERANKED)
@pytest.mark.parametrize("beside", [{}, {"rerank": {"window_size": 20}}], ids=["alone", "with rerank"])
def test_one_request_has_the_key_as_the_client_wrote_it(key: str, beside: dict[str, Any]) -> None:
    value = {"a": [1.5, 2**70], "b": "ü"}
    window = request_window(planned({key: value, **beside}))
    assert ext_of(window.body) == {key: value}
    assert str(2**70).encode() in window.body


@pytest.mark.parametrize("key", OF_THE_PAGE)
def test_of_two_requests_the_pages_alone_has_a_key_of_each_hit(key: str) -> None:
    plan = planned({key: {"a": 1}, "rerank": {"window_size": 20}})
    assert asks_much_of_each_hit(plan)
    assert can_split(plan)
    assert ext_of(request_window_vectors(plan).body) is None
    page = request_page_hits(plan, [HitName("books", 1, "")], num_shards=1)
    assert ext_of(page.body) == {key: {"a": 1}}


@pytest.mark.parametrize("key", [key for key in RERANKED if key not in OF_THE_PAGE])
def test_what_may_concern_the_whole_answer_needs_one_request(key: str) -> None:
    plan = planned({key: {}}, highlight={"fields": {"text": {}}})
    assert asks_much_of_each_hit(plan)
    assert not can_split(plan)
    assert not can_split(planned({key: {}, OF_THE_PAGE[0]: {}}))
    assert not asks_much_of_each_hit(planned({key: {}}))


@pytest.mark.parametrize("key", [*RERANKED, "generative_qa_parameters"])
def test_the_cluster_has_the_key_in_its_only_request(key: str) -> None:
    plan = planned({key: {"a": 1}, "rerank": {"window_size": 20}}, CLUSTER, size=3)
    asked = json.loads(request_rescored_page(plan, {"window_size": 20}).body)
    assert (asked["ext"], asked["size"]) == ({key: {"a": 1}}, 3)


def test_an_answer_is_written_from_the_final_order_or_not_at_all() -> None:
    """What falls back to the sidecar in spite of the settings is passed through as well."""
    assert decide({"generative_qa_parameters": {}}, CLUSTER, explain=True).plan == Skip(
        "generative_qa_parameters"
    )
