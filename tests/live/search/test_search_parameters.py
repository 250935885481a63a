"""docs/reference/search-parameters.md against the search reference, the code, and the real server."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.local.java import find_java
from opensearch.local.maven import Maven
from opensearch.search.ext_keys import EXT_KEYS, ExtRule
from opensearch.search.parameters import NEEDS_ONE_REQUEST, OF_EACH_HIT, WIDENED_KEYS, WIDENED_PARAMETERS
from tests.support.http.raw_http import ask, search
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import DOCS

pytestmark = pytest.mark.opensearch_2_19

TABLE = (DOCS / "reference/search-parameters.md").read_text()
REFERENCE = "org.opensearch:rest-api-spec:3.1.0:jar"
READ_BY_US = {"source", "source_content_type"}
"""What is read and replaced, and so never widened."""

BEYOND_THE_REFERENCE = {
    "cancel_after_time_interval", "format", "phase_took", "source_content_type", "verbose_pipeline",
}  # fmt: skip
"""Parameters that the server takes and the published reference leaves out."""


def rows(heading: str) -> dict[str, str]:
    """Return a table's names with what it says of being reranked."""
    section = TABLE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE))


PARAMETERS, KEYS = rows("URL parameters"), rows("Body keys")
EXT_ROWS = rows("Keys of `ext`")


@pytest.mark.parametrize(
    ("table", "widened"), [(PARAMETERS, WIDENED_PARAMETERS), (KEYS, WIDENED_KEYS)], ids=["URL", "body"]
)
def test_the_table_is_what_the_code_does(table: dict[str, str], widened: frozenset[str]) -> None:
    assert set(table.values()) == {"yes", "no", "depends"}
    assert {name for name, said in table.items() if said != "no"} - READ_BY_US == widened
    assert list(table) == sorted(table)
    assert table.keys() | PARAMETERS.keys() >= NEEDS_ONE_REQUEST & widened
    assert KEYS.keys() >= OF_EACH_HIT


WORDS = {
    ExtRule.FIRST_STAGE: "no",
    ExtRule.FINAL_ORDER: "depends",
    ExtRule.PAGE: "yes",
    ExtRule.WHOLE: "yes",
}


TAKEN_OUT = {"rerank": "yes", "ubi": "yes"}
"""Keys that are read and taken out before the rules are asked: `ubi` unless `serve --ubi off`."""


def test_the_table_of_ext_is_what_the_code_does() -> None:
    assert {key: WORDS[rule] for key, rule in EXT_KEYS.items()} | TAKEN_OUT == EXT_ROWS
    assert list(EXT_ROWS) == sorted(EXT_ROWS)
    assert "\n| any other key | yes |" in TABLE


def test_a_key_of_ext_that_passes_a_search_through_has_a_remedy() -> None:
    remedies = (DOCS / "how-to/troubleshooting.md").read_text()
    reasons = [key for key, said in EXT_ROWS.items() if said != "yes"]
    assert reasons
    assert all(f"\n| `{key}` | " in remedies for key in reasons)


def test_every_parameter_of_the_reference_is_in_the_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(Maven(find_java()).copy(REFERENCE, tmp_path)) as jar:
        of_a_search = json.loads(jar.read("rest-api-spec/api/search.json"))["search"]["params"]
        common = json.loads(jar.read("rest-api-spec/api/_common.json"))["params"]
    assert of_a_search.keys() | common.keys() | BEYOND_THE_REFERENCE == PARAMETERS.keys()


VALUES: dict[str, Any] = {
    "_source": False, "aggregations": {}, "aggs": {}, "collapse": {"field": "n"}, "derived": {},
    "docvalue_fields": ["n"], "explain": True, "ext": {}, "fields": ["n"], "from": 1,
    "highlight": {"fields": {"text": {}}}, "include_named_queries_score": True, "indices_boost": [],
    "min_score": 0.1, "pit": None, "post_filter": {"match_all": {}}, "profile": True,
    "query": {"match_all": {}}, "rescore": {"query": {"rescore_query": {"match_all": {}}}},
    "script_fields": {"x": {"script": "1"}}, "search_after": [1.5], "search_pipeline": "_none",
    "seq_no_primary_term": True, "size": 3, "slice": {"id": 0, "max": 2}, "sort": ["_score"],
    "stats": ["a"], "stored_fields": ["_source"], "suggest": {}, "terminate_after": 50, "timeout": "10s",
    "track_scores": True, "track_total_hits": 5, "verbose_pipeline": False, "version": True,
}  # fmt: skip
"""Every key that SearchSourceBuilder of 3.8 reads, with a value that it takes."""


def test_every_key_that_the_server_knows_is_in_the_table() -> None:
    assert VALUES.keys() == KEYS.keys()


@pytest.mark.live
@pytest.mark.parametrize("key", VALUES)
def test_the_server_knows_the_key_and_the_proxy_does_what_the_table_says(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, key: str
) -> None:
    index, value, sort = toy_index.name, VALUES[key], {"sort": ["n"]} if key == "search_after" else {}
    if key == "pit":
        value = {"id": client.create_pit(index=index, params={"keep_alive": "1m"})["pit_id"]}
    body = {"query": toy_index.query, key: value, **sort}
    target = "/_search" if key == "pit" else f"/{index}/_search"
    straight, through = (
        ask(url, "POST", target, json.dumps(body).encode(), {"Content-Type": "application/json"})
        for url in (toy_index.url, proxy_url)
    )
    if key != "slice":  # which wants a scroll or a point in time
        assert straight.status == 200, straight.body
    assert b"unknown key" not in straight.body.lower()
    assert through.status == straight.status
    is_applied = through.rerank_status.startswith("applied")
    assert is_applied == (KEYS[key] == "yes" or key in _AS_SENT_HERE), through.rerank_status


_AS_SENT_HERE = {
    "docvalue_fields", "ext", "from", "search_pipeline", "size", "sort", "stored_fields",
}  # fmt: skip
"""Keys that depend on their value, which here is one that is reranked."""


@pytest.mark.live
@pytest.mark.parametrize("name", PARAMETERS)
def test_the_server_knows_the_parameter(toy_index: ToyIndex, name: str) -> None:
    beside = "&source={}" if name == "source_content_type" else "&q=a&suggest_field=text"
    answer = search(toy_index.url, toy_index.name, b"", f"?{name}=a{'' if f'&{name}=' in beside else beside}")
    assert b"unrecognized parameter" not in answer.body
    assert b"unrecognized parameter" in search(toy_index.url, toy_index.name, b"", "?twinrank=").body
