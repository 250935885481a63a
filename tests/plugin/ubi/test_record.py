"""A record of a search: UBI's fields, the proxy's attributes, and what is left out on request."""

import re
import uuid

import msgspec

from plugin.telemetry.outcome import SearchOutcome
from plugin.ubi.parameters import UbiParameters
from plugin.ubi.record import MAX_KEYWORD_BYTES, MAX_QUERY_CHARS, RecordingOptions, UbiRecord, build_record

GIVEN = UbiParameters(
    user_query="apple",
    client_id="c",
    application="shop",
    query_attributes={"a": "b", "n": 1, "t": True, "twinrank.arm": "made up"},
)
APPLIED = SearchOutcome("applied", window=100, scored=90, model="tiny", attributes={"twinrank.team": "x"})


def record(
    parameters: UbiParameters = GIVEN,
    options: RecordingOptions | None = None,
    outcome: SearchOutcome = APPLIED,
    query: str = '{"size":2}',
) -> UbiRecord:
    return build_record(parameters, "q", ["2", "1"], query, 10, outcome, options or RecordingOptions())


def test_it_has_the_fields_of_ubi() -> None:
    found = msgspec.to_builtins(record())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("timestamp"))
    assert uuid.UUID(found.pop("query_response_id")).version == 4
    attributes = {"a": "b", "n": "1", "t": "true", "twinrank.outcome": "applied", "twinrank.window": "100"}
    attributes |= {"twinrank.model": "tiny", "twinrank.from": "10", "twinrank.team": "x"}
    assert found == {
        "query_id": "q",
        "query_response_hit_ids": ["2", "1"],
        "user_query": "apple",
        "client_id": "c",
        "application": "shop",
        "query": '{"size":2}',
        "query_attributes": attributes,
    }


def test_what_a_client_does_not_say_is_as_the_plugin_writes_it() -> None:
    found = msgspec.to_builtins(record(UbiParameters()))
    assert (found["user_query"], found["client_id"], "application" in found) == ("", "", False)


def test_a_search_that_is_not_reranked_has_its_reason() -> None:
    attributes = record(UbiParameters(), outcome=SearchOutcome.skipped("sort")).query_attributes
    assert attributes == {"twinrank.outcome": "sort", "twinrank.window": "0", "twinrank.from": "10"}


def test_without_the_text_nothing_tells_what_was_searched_for() -> None:
    written = msgspec.json.encode(record(options=RecordingOptions(query_text=False)))
    assert b"user_query" not in written
    assert b'"query"' not in written
    assert b"apple" not in written


def test_a_hashed_client_is_the_same_each_time_and_another_with_another_key() -> None:
    first, again, other = (
        record(options=RecordingOptions(client_key=key)).client_id
        for key in (b"a" * 16, b"a" * 16, b"b" * 16)
    )
    assert first == again != other
    assert re.fullmatch("[0-9a-f]{64}", first)
    nobody = record(UbiParameters(), RecordingOptions(client_key=b"a" * 16))
    assert nobody.client_id == "", "no client is not one client"


def test_what_opensearch_would_refuse_is_cut() -> None:
    huge = record(UbiParameters(user_query="ü" * 100_000), query="x" * 1_000_000)
    assert isinstance(huge.user_query, str)
    assert len(huge.user_query.encode()) == MAX_KEYWORD_BYTES
    assert huge.query is not None
    assert len(huge.query) == MAX_QUERY_CHARS
    assert huge.num_bytes < 200_000


def test_hashes_of_an_experiment_keep_what_the_record_keeps() -> None:
    """Without the key, a hash of a client's id could be found by hashing likely ids."""
    attributes = {"twinrank.unit": "0f", "twinrank.draft": "1e", "twinrank.arm": "a"}
    outcome = SearchOutcome("applied", attributes=attributes)

    def found(**options: object) -> dict[str, str]:
        written = record(options=RecordingOptions(**options), outcome=outcome).query_attributes  # type: ignore[arg-type]
        return {name: value for name, value in written.items() if name in attributes}

    assert found() == attributes
    keyed = found(client_key=b"a" * 16)
    assert keyed["twinrank.arm"] == "a"
    assert len({keyed["twinrank.unit"], keyed["twinrank.draft"], "0f", "1e"}) == 4
    assert keyed == found(client_key=b"a" * 16) != found(client_key=b"b" * 16)
    assert found(query_text=False) == {"twinrank.unit": "0f", "twinrank.arm": "a"}
