"""What each key of a search's `ext` means if the search is widened (docs/reference/search-parameters.md).

`rerank` is not here: it is read and taken out before (`opensearch.search.ext`). `ubi` is taken out and
recorded before too (`plugin.ubi`), unless the proxy is told to leave it to OpenSearch.
"""

from collections.abc import Collection
from enum import Enum


class ExtRule(Enum):
    """What is done with a search that has the key."""

    FIRST_STAGE = "first_stage"
    """Not reranked: the key changes the order of hits, or records the hits of OpenSearch's answer."""
    FINAL_ORDER = "final_order"
    """Reranked only if OpenSearch itself puts the hits in their final order (`execution: cluster`)."""
    PAGE = "page"
    """Reranked; the key is of each hit, so it goes with the request that makes the page."""
    WHOLE = "whole"
    """Reranked by one request, which has the key: what is done with it may concern the whole answer."""


EXT_KEYS = {
    "generative_qa_parameters": ExtRule.FINAL_ORDER,
    "ltr_log": ExtRule.PAGE,
    "ml_inference": ExtRule.WHOLE,
    "mmr": ExtRule.FIRST_STAGE,
    "semantic_highlighting_batch": ExtRule.PAGE,
    "ubi": ExtRule.FIRST_STAGE,
}
"""The keys of OpenSearch's own plugins; every other key is WHOLE."""


def find_obstacle(keys: Collection[str], *, in_cluster: bool) -> str | None:
    """Return the first key that a search is passed through for, None if there is none.

    `in_cluster` says that OpenSearch itself puts the hits in their final order.
    """
    obstacles = {ExtRule.FIRST_STAGE} if in_cluster else {ExtRule.FIRST_STAGE, ExtRule.FINAL_ORDER}
    return min((key for key in keys if _find_rule(key) in obstacles), default=None)


def need_one_request(keys: Collection[str]) -> bool:
    """Return whether a key among them rules out a window and a page in two requests."""
    return any(_find_rule(key) is not ExtRule.PAGE for key in keys)


def are_of_each_hit(keys: Collection[str]) -> bool:
    """Return whether a key among them costs more for every hit of the window than a second request does."""
    return any(_find_rule(key) is ExtRule.PAGE for key in keys)


def _find_rule(key: str) -> ExtRule:
    return EXT_KEYS.get(key, ExtRule.WHOLE)
