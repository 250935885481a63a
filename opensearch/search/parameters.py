"""What the proxy does with each parameter and body key of a search (docs/reference/search-parameters.md)."""

OF_THE_FORMAT = frozenset({"filter_path", "pretty"})
"""Parameters that only shape the response; the proxy sets them for its own requests."""

OF_THE_QUERY_STRING = frozenset({"q", "df", "default_operator", "analyzer", "analyze_wildcard", "lenient"})
"""The query in the URL, and how it is read."""

WIDENED_PARAMETERS = (
    OF_THE_FORMAT
    | OF_THE_QUERY_STRING
    | {
        "_source", "_source_excludes", "_source_includes", "allow_no_indices", "allow_partial_search_results",
        "batched_reduce_size", "cancel_after_time_interval", "ccs_minimize_roundtrips", "docvalue_fields",
        "error_trace", "expand_wildcards", "explain", "from", "human", "ignore_throttled",
        "ignore_unavailable", "include_named_queries_score", "max_concurrent_shard_requests", "phase_took",
        "pre_filter_shard_size", "preference", "request_cache", "rest_total_hits_as_int", "routing",
        "search_pipeline", "search_type", "seq_no_primary_term", "size", "sort", "stats", "stored_fields",
        "suggest_field", "suggest_mode", "suggest_size", "suggest_text", "terminate_after", "timeout",
        "track_scores", "track_total_hits", "typed_keys", "version",
    }
)  # fmt: skip
"""Parameters whose meaning does not change if more hits are requested, or which are replaced."""

WIDENED_KEYS = frozenset({
    "_source", "aggregations", "aggs", "collapse", "derived", "docvalue_fields", "explain", "ext", "fields",
    "from", "highlight", "include_named_queries_score", "indices_boost", "min_score", "pit", "post_filter",
    "profile", "query", "rescore", "script_fields", "search_pipeline", "seq_no_primary_term", "size", "sort",
    "stats", "stored_fields", "suggest", "terminate_after", "timeout", "track_scores", "track_total_hits",
    "version",
})  # fmt: skip
"""The same of the body's keys; what is in `ext` has a table of its own (`opensearch.search.ext_keys`)."""

NEEDS_ONE_REQUEST = frozenset({"collapse", "explain", "profile", "rescore", "terminate_after"})
"""Keys and parameters that say something of the search as a whole, or that a second request would change."""

OF_EACH_HIT = frozenset({"fields", "highlight", "script_fields"})
"""Keys that cost more for every hit of the window than a second request does (docs/reference/results.md)."""
