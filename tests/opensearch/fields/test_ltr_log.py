"""The features that the Learning to Rank plugin logs, as its documentation shows an answer.

The plugin cannot be had here. The form of `_ltrlog` follows docs.opensearch.org, search-plugins/ltr/
logging-features: a list of one object, whose features have no `value` if they did not match.
"""

import json

from msgspec import Raw

from opensearch.fields.ltr_log import read_logged_features
from opensearch.fields.vector_field import Hit


def hit(log: object) -> Hit:
    return {"_id": Raw(b'"1"'), "fields": Raw(json.dumps({"_ltrlog": log, "n": [1]}).encode())}


def test_each_feature_has_a_value_for_each_hit() -> None:
    title, body = {"name": "title_query", "value": 12.318446}, {"name": "body_query", "value": 10.573845}
    hits = [
        hit([{"log_entry1": [title, body]}]),
        hit([{"log_entry1": [{"name": "title_query"}, body], "log_entry2": [body | {"value": 7}]}]),
        {"_id": Raw(b'"3"')},
    ]
    found = read_logged_features(hits)
    assert found == {"title_query": [12.318446, 0, 0], "body_query": [10.573845, 10.573845, 0]}


def test_what_has_another_form_is_no_feature() -> None:
    odd: list[object] = [None, 5, {}, [5], [{"log": 5}], [{"log": [5, {"name": 7}]}], [{"log": {"a": 1.5}}]]
    assert read_logged_features([hit(each) for each in odd]) == {}
    values = [{"name": "a", "value": "high"}, {"name": "b", "value": True}, {"name": "c", "value": 1}]
    assert read_logged_features([hit([{"log": values}])]) == {"a": [0], "b": [0], "c": [1]}
