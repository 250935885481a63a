"""What older versions of OpenSearch do otherwise than the newest: found by running the live suites on each.

Nothing in the packages asks for the version. `pytest --opensearch=2.19.1` expects exactly these tests to fail
there, so that a line here which is no longer true fails too.
"""

import pytest

_WITHOUT_COMMON = "the assembled server is without the search-pipeline-common module"
_ML_COMMONS = "the assembled server has ml-commons"
_WORDS = "words the refusal otherwise"
_PRETTY = "puts spaces around the colon after `_source` when asked for `pretty`, where 3.8 has none"
_ON_2_19: dict[str, str] = {
    "writes/test_bulk.py::test_each_document_has_its_own_result": _WORDS,
    "indexing/test_indexer_run.py::test_bad_lines_are_told_and_the_rest_goes_on": _WORDS,
    "indexing/test_mapping.py::test_derived_source_rebuilds_the_vector": "has no index.derived_source",
    "search/test_search_parameters.py::test_the_server_knows_the_parameter[error_trace]": (
        "never answers an error_trace that is neither true nor false"
    ),
    "search/test_searches.py::test_it_is_opensearchs_own_answer_but_for_the_order[fat-pretty]": _PRETTY,
    "search/test_searches.py::test_it_is_opensearchs_own_answer_but_for_the_order[highlight-pretty]": _PRETTY,
    "search/test_searches.py::test_it_is_opensearchs_own_answer_but_for_the_order[inner-hits-pretty]": (
        _PRETTY
    ),
    "search/test_msearch.py::test_what_is_not_reranked_keeps_its_bytes_and_its_place[?pretty]": _PRETTY,
    "indexing/test_native_command.py::test_without_ml_commons_it_says_so": _ML_COMMONS,
    "search/test_rerank_ext.py::test_without_settings_it_is_forwarded_untouched": (
        "the assembled server has neural-search, which takes ext.rerank"
    ),
    "indexing/test_deploy_templates.py::test_the_search_pipeline_shows_covered_documents": _WITHOUT_COMMON,
    "indexing/test_deploy_templates.py::test_an_allowed_search_pipeline_is_reranked": _WITHOUT_COMMON,
    "search/test_widened_faults.py::test_search_pipelines_work_on_the_clients_own_request": _WITHOUT_COMMON,
    "search/test_widened_faults.py::test_a_pipeline_that_is_allowed_works_on_the_window": _WITHOUT_COMMON,
    "search/test_query_types.py::test_with_text_it_is_reranked_and_every_hit_is_there[{'combined_fields'": (
        "has no combined_fields query"
    ),
    "search/test_query_types.py::test_without_text_it_is_opensearchs_own_answer[{'percolate'": (
        "the assembled server is without the percolator module"
    ),
}
_ON_3_5: dict[str, str] = {
    "indexing/test_mapping.py::test_derived_source_rebuilds_the_vector": (
        "an index with index.derived_source takes no binary field"
    ),
    "writes/test_bulk.py::test_each_document_has_its_own_result": _WORDS,
    "indexing/test_indexer_run.py::test_bad_lines_are_told_and_the_rest_goes_on": _WORDS,
    "search/test_msearch.py::test_what_is_not_reranked_keeps_its_bytes_and_its_place[?pretty]": _PRETTY,
    "search/test_searches.py::test_it_is_opensearchs_own_answer_but_for_the_order[fat-pretty]": _PRETTY,
    "search/test_searches.py::test_it_is_opensearchs_own_answer_but_for_the_order[highlight-pretty]": _PRETTY,
    "search/test_searches.py::test_it_is_opensearchs_own_answer_but_for_the_order[inner-hits-pretty]": (
        _PRETTY
    ),
}

DIFFERENCES = {"2.19.1": _ON_2_19, "3.5.0": _ON_3_5}
"""By version: the beginning of a test's id below tests/live, and why it cannot hold."""


def mark_differences(version: str, items: list[pytest.Item]) -> None:
    """Expect the tests of a version's table to fail; the newest version has none."""
    for item in items:
        name = item.nodeid.removeprefix("tests/live/")
        for beginning, reason in DIFFERENCES.get(version, {}).items():
            if name.startswith(beginning):
                item.add_marker(pytest.mark.xfail(reason=f"{version}: {reason}", strict=True))
