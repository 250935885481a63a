"""A query of each type of OpenSearch's reference, and the text that is found in it: read by two suites."""

import base64
import json
from typing import Any

Query = dict[str, Any]

TEXT = "wait a bit"
MATCH: Query = {"match": {"text": TEXT}}


def wrapped(query: object) -> Query:
    """Return a `wrapper` of a query, or of any JSON."""
    return {"wrapper": {"query": base64.b64encode(json.dumps(query).encode()).decode()}}


WITH_TEXT: list[Query] = [
    MATCH,
    {"match": {"text": {"query": TEXT, "operator": "or", "boost": 2}}},
    {"match_phrase": {"text": TEXT}},
    {"match_phrase": {"text": {"query": TEXT, "slop": 50}}},
    {"match_phrase_prefix": {"text": TEXT}},
    {"match_bool_prefix": {"text": {"query": TEXT, "minimum_should_match": 1}}},
    {"common": {"text": {"query": TEXT, "cutoff_frequency": 0.5}}},
    {"multi_match": {"query": TEXT, "fields": ["title^3", "text"], "type": "most_fields"}},
    {"combined_fields": {"query": TEXT, "fields": ["text"]}},
    {"query_string": {"query": TEXT, "default_field": "text"}},
    {"simple_query_string": {"query": TEXT, "fields": ["text"], "default_operator": "or"}},
    {"wildcard": {"text.keyword": f"*{TEXT}*"}},
    {"wildcard": {"text.keyword": {"value": f"*{TEXT}*", "case_insensitive": True, "boost": 2}}},
    {"wildcard": {"text.keyword": {"wildcard": f"*{TEXT}*"}}},
    {"regexp": {"text.keyword": f".*{TEXT}.*"}},
    {"regexp": {"text.keyword": {"value": ".*wait.*a.*bit.*", "flags": "NONE"}}},
    {"intervals": {"text": {"match": {"query": TEXT, "max_gaps": -1}}}},
    {"more_like_this": {"fields": ["text"], "like": TEXT, "min_term_freq": 1, "min_doc_freq": 1,
                        "minimum_should_match": 1}},
    {"bool": {"must": MATCH}},
    {"bool": {"must": [MATCH], "filter": [{"match_all": {}}]}},
    {"bool": {"should": [MATCH, {"match": {"title": TEXT}}], "must_not": [{"match": {"text": "zzz"}}]}},
    {"dis_max": {"queries": [MATCH, {"match": {"title": TEXT}}], "tie_breaker": 0.5}},
    {"boosting": {"positive": MATCH, "negative": {"match": {"text": "zzz"}}, "negative_boost": 0.5}},
    {"constant_score": {"filter": MATCH, "boost": 2}},
    {"function_score": {"query": MATCH, "functions": [{"filter": {"match": {"text": "zzz"}}, "weight": 2}]}},
    {"script_score": {"query": MATCH, "script": {"source": "_score * 2"}}},
    {"nested": {"path": "parts", "query": {"match": {"parts.text": TEXT}}, "score_mode": "max"}},
    {"has_child": {"type": "answer", "query": MATCH, "score_mode": "max"}},
    {"has_parent": {"parent_type": "question", "query": MATCH, "score": True}},
    wrapped(MATCH),
]  # fmt: skip
"""Queries that a server without plugins takes; each asks for TEXT."""

WITH_TEXT_BY_PLUGIN: list[Query] = [
    {
        "neural": {
            "vector": {"query_text": TEXT, "model_id": "m", "k": 5, "filter": {"match": {"text": "zzz"}}}
        }
    },
    {"neural_sparse": {"vector": {"query_text": TEXT, "model_id": "m"}}},
    {"hybrid": {"queries": [MATCH, {"neural": {"vector": {"query_text": TEXT, "k": 5}}}]}},
    {"agentic": {"query_text": TEXT, "query_fields": ["text"]}},
]

WITHOUT_TEXT: list[Query] = [
    {"match_all": {}},
    {"match_none": {}},
    {"term": {"lang": "en"}},
    {"terms": {"lang": ["en", "de"]}},
    {"terms_set": {"lang": {"terms": ["en"], "minimum_should_match_field": "n"}}},
    {"ids": {"values": ["1"]}},
    {"range": {"year": {"gte": "1970"}}},
    {"prefix": {"lang": "e"}},
    {"exists": {"field": "text"}},
    {"fuzzy": {"lang": "en"}},
    {"wildcard": {"lang": "e*"}},
    {"regexp": {"lang": "e."}},
    {"geo_bounding_box": {"place": {"top_left": "u0", "bottom_right": "u1"}}},
    {"geo_distance": {"distance": "1km", "place": "u0"}},
    {"geo_polygon": {"place": {"points": ["u0", "u1", "u2"]}}},
    {"geo_shape": {"place": {"shape": {"type": "point", "coordinates": [1, 2]}}}},
    {"xy_shape": {"place": {"shape": {"type": "point", "coordinates": [1, 2]}}}},
    {"parent_id": {"type": "answer", "id": "1"}},
    {"span_term": {"text": "wait"}},
    {"span_near": {"clauses": [{"span_term": {"text": "wait"}}], "slop": 1}},
    {"span_or": {"clauses": [{"span_term": {"text": "wait"}}]}},
    {"span_first": {"match": {"span_term": {"text": "wait"}}, "end": 3}},
    {"span_not": {"include": {"span_term": {"text": "wait"}}, "exclude": {"span_term": {"text": "bit"}}}},
    {"span_containing": {"little": {"span_term": {"text": "wait"}}, "big": {"span_term": {"text": "bit"}}}},
    {"span_within": {"little": {"span_term": {"text": "wait"}}, "big": {"span_term": {"text": "bit"}}}},
    {"span_multi": {"match": {"prefix": {"text": "wai"}}}},
    {"field_masking_span": {"query": {"span_term": {"text": "wait"}}, "field": "title"}},
    {"distance_feature": {"field": "date", "origin": "now", "pivot": "7d"}},
    {"knn": {"vector": {"vector": [1, 2], "k": 5, "filter": MATCH}}},
    {"percolate": {"field": "query", "document": {"text": TEXT}}},
    {"rank_feature": {"field": "pagerank"}},
    {"script": {"script": "return true"}},
    {"template": {"match": {"text": "${text}"}}},
]
