"""Where a search's hits are scored, and why one that was to be scored in the cluster is scored here.

In the cluster OpenSearch's own `rescore` scores them. A search that it does not suit falls back to the proxy.
"""

from collections.abc import Iterator
from typing import Any

from opensearch.search.cluster_rescore import fits_float32
from opensearch.search.request import SearchRequest
from opensearch.settings.fusion import ResolvedFusion
from opensearch.settings.table import RerankSettings

FALLBACKS = (
    "crossing", "multi_search", "verify", "fusion", "score", "explain", "collapse", "rescore", "hybrid",
    "scoreless", "top_hits", "min_probability", "diversity", "keep_exact", "experiment", "vectors", "pin",
)  # fmt: skip
"""Every reason for scoring hits here in spite of `execution: cluster`, as `Rerank-Status` shows it."""


def find_fallback(
    request: SearchRequest,
    settings: RerankSettings,
    fusion: ResolvedFusion,
    *,
    details: bool,
    added: float = 0.0,
) -> str | None:
    """Return why this search cannot be rescored by OpenSearch, None if it can.

    Args:
        request: the client's search, without `ext.rerank`.
        settings: those that apply to it.
        fusion: theirs, with the bundle's values filled in.
        details: whether `ext.rerank.explain` asks for each hit's scores.
        added: the logarithm of the largest factor of a hit by rules.
    """
    if not fits_float32(fusion, added):
        return "fusion"
    return next(_find_reasons(request, settings, details=details), None)


def _find_reasons(request: SearchRequest, settings: RerankSettings, *, details: bool) -> Iterator[str]:
    yield from _find_reasons_of_settings(settings)
    yield from _find_reasons_of_request(request, details=details)


def _find_reasons_of_settings(settings: RerankSettings) -> Iterator[str]:
    if settings.reads_existing:
        yield "vectors"  # the script reads stored vectors alone
    if settings.verify_at_search:
        yield "verify"  # a script on the data nodes has no text to compare with
    fusion = settings.fusion
    if fusion.method != "log_linear" or fusion.feedback or fusion.smoothing:
        yield "fusion"  # the others, feedback and smoothing need the whole window at once
    if settings.score == "probability":
        yield "score"
    if settings.min_probability is not None:
        yield "min_probability"
    if settings.diversity:
        yield "diversity"
    if settings.keep_exact:
        yield "keep_exact"


def _find_reasons_of_request(request: SearchRequest, *, details: bool) -> Iterator[str]:
    if details or request.explains:
        yield "explain"  # first-stage score, rank and crossing of each hit are not in the answer
    if "collapse" in request.body:
        yield "collapse"  # OpenSearch refuses both together
    if "rescore" in request.body:
        yield "rescore"  # a second one would multiply what the client's own has made of the scores
    if _is_of_type(request.query, "hybrid"):
        yield "hybrid"
    if _is_scoreless(request.query):
        yield "scoreless"  # a product with 0 has no order
    if any(_contains_key(request.member(key), "top_hits") for key in ("aggs", "aggregations")):
        yield "top_hits"  # OpenSearch would rescore their hits too


def _is_of_type(query: Any, name: str) -> bool:  # noqa: ANN401  # any JSON
    return isinstance(query, dict) and name in query


def _is_scoreless(query: Any) -> bool:  # noqa: ANN401
    """Whether every hit's first-stage score is 0, as far as the query's form says it."""
    if not isinstance(query, dict) or len(query) != 1:
        return False
    ((name, body),) = query.items()
    if not isinstance(body, dict):
        return False
    if name == "bool":
        scoring = [*_list_clauses(body.get("must")), *_list_clauses(body.get("should"))]
        return all(_is_scoreless(clause) for clause in scoring)
    return body.get("boost") == 0


def _list_clauses(value: Any) -> list[Any]:  # noqa: ANN401
    return value if isinstance(value, list) else [] if value is None else [value]


def _contains_key(value: Any, name: str) -> bool:  # noqa: ANN401
    """Whether a value has a member of this name at any depth."""
    if isinstance(value, list):
        return any(_contains_key(each, name) for each in value)
    return isinstance(value, dict) and (
        name in value or any(_contains_key(each, name) for each in value.values())
    )
