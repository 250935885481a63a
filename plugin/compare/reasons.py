"""Why a search was not reranked, and what to do about it: the one table of all reasons.

The tables of docs/how-to/troubleshooting.md are made from it (`python -m tests.support.reason_tables`). Texts
are Markdown on one line, with links as seen from that page.
"""

import posixpath
import re
from dataclasses import dataclass

_PAGE = "docs/how-to/troubleshooting.md"
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#]*)(?:#[^)]*)?\)")
_NOTHING_BUT_A_LINK = re.compile(rf"\({_LINK.pattern}\)")


@dataclass(frozen=True)
class Reason:
    """One cause under the words that `reason=` may have for it; `why` and `remedy` are sentences."""

    names: tuple[str, ...]
    why: str
    remedy: str

    def describe(self) -> str:
        """Return both as plain text, where a link is the name of its page."""
        return flatten_links(f"{self.why} {self.remedy}")


SETUP: tuple[Reason, ...] = (
    Reason(
        ("not_enabled",),
        "No index behind the name has rerank settings, or the caller may not see them.",
        "`twinrank enable INDEX --field FIELD`. If it is enabled, give callers "
        "`indices:admin/get`, or the proxy a [service account](secured-clusters.md#serve). "
        "An index that was [rebuilt](reindex.md) needs it again.",
    ),
    Reason(
        ("disabled",),
        "The settings, the server's defaults or the request say `enabled: false`.",
        "`twinrank enable INDEX`, or remove `ext.rerank.enabled` from the request.",
    ),
    Reason(
        ("indices",),
        "The indices behind the name differ in model, vector field or source fields, or some "
        "have no settings.",
        "Enable all of them alike, or search them one by one. During a migration this lasts for "
        "a moment only.",
    ),
    Reason(
        ("settings",),
        "The settings in the mapping are invalid, or they are gone while the vector field is still mapped.",
        "`twinrank settings INDEX` names the key. `twinrank enable INDEX --field FIELD` writes "
        "valid ones; vectors stay.",
    ),
    Reason(
        ("combiner",),
        "The settings name a [combiner](../reference/features.md) that this proxy lacks, that was fitted "
        "with another model, or that needs a signal which the settings lack.",
        "The proxy's log says which. Start it with `--combiner-file FILE`, or change `fusion.combiner`.",
    ),
    Reason(
        ("settings_unreadable",),
        "OpenSearch's response about the index could not be read.",
        "See the proxy's log. Something between proxy and OpenSearch may change responses.",
    ),
    Reason(
        ("coverage",),
        "Fewer documents have a vector than `min_coverage` asks for, or the share is not known yet.",
        "Wait up to 10 s after a start. Then `twinrank status INDEX`, `twinrank sync INDEX`, or "
        "a lower `min_coverage`.",
    ),
    Reason(
        ("model",),
        "The settings name another model than this proxy's bundle, or the encoder failed.",
        "`twinrank status INDEX` names the model: serve that `--bundle`, or [change the "
        "model](migration.md). If they agree, the log has the encoder's error ([circuit "
        "breakers](#circuit-breakers)).",
    ),
    Reason(
        ("rule",),
        "A [rule](rules.md) for this query says `rerank: false`.",
        "None: an editor wants OpenSearch's order for it. Or take the rule out.",
    ),
    Reason(
        ("experiment",),
        "An [experiment](experiments.md) runs, and this client's arm is OpenSearch's own order.",
        "None: the other arms are reranked. `twinrank experiment stop INDEX` ends it.",
    ),
    Reason(
        ("vectors",),
        "No hit of the window has a usable vector.",
        "`twinrank sync INDEX`. If `twinrank verify INDEX` finds them current, the caller may "
        "not read the vector field (field-level security).",
    ),
    Reason(
        ("doc_values",),
        "OpenSearch has no doc values of a field in `fusion.signals`, `keep_exact` or a rule's `term`: it is "
        "a `text`, for example.",
        "`twinrank settings INDEX` names the field, and what to use in its place.",
    ),
    Reason(
        ("uncalibrated",),
        "`min_probability` is set, and the probabilities of this proxy's bundle are not calibrated.",
        "Leave `min_probability` out, or serve a calibrated bundle ([training](training.md)).",
    ),
    Reason(
        ("language",),
        "A letter of the query is in a script that the bundle does not read, or most texts of the index are "
        "in such a script or in another language, or the query is, on an index of several languages.",
        "None needed if your texts or queries are not in English. If your own measurement gains, "
        "set `languages: any` ([languages](../reference/models.md#languages)).",
    ),
    Reason(
        ("search_pipeline",),
        "A search pipeline would change the window instead of the client's page.",
        "If the pipeline does no harm to a window, list it in `pipelines_allowed`. Or send "
        "`search_pipeline=_none`. One that only combines the scores of a "
        "[hybrid query](hybrid.md) is no obstacle if the proxy may read its definition.",
    ),
    Reason(
        ("hybrid",),
        "No search pipeline combines the scores of the hybrid query's parts.",
        "Name a [pipeline that does](hybrid.md#pipelines) in `search_pipeline`, or make it the "
        "index's default.",
    ),
    Reason(
        ("pagination_depth",),
        "A later page of a hybrid query without `pagination_depth`, which OpenSearch does not answer.",
        "Send the same `pagination_depth` with [every page](hybrid.md#pages), the first one too.",
    ),
    Reason(
        ("remote_indices",),
        "The search asks indices of another cluster.",
        "Run a proxy in front of that cluster.",
    ),
)

REQUEST: tuple[Reason, ...] = (
    Reason(
        ("query_text",),
        "The query has no text to rerank by.",
        "See [query types](../reference/query-text.md). If the text is in a filter, name it with "
        "`ext.rerank.query_context`.",
    ),
    Reason(
        ("sort",),
        "The search is sorted by something else than descending `_score`.",
        "Leave `sort` out.",
    ),
    Reason(
        ("sort_tie_breaker",),
        "The search is sorted by descending `_score` and then by something else, which is another order.",
        "Leave the second clause out.",
    ),
    Reason(
        ("size",),
        "The search has `size: 0`, or something that is no size.",
        "None needed.",
    ),
    Reason(
        ("from",),
        "Not a whole number of at least 0.",
        "Correct the request.",
    ),
    Reason(
        ("beyond_window",),
        "The page begins beyond the window (`sidecar`).",
        "Raise `window_size`, or use `execution: cluster`.",
    ),
    Reason(
        ("max_result_window",),
        "The page ends beyond the index's `max_result_window`.",
        "Ask for fewer hits: OpenSearch answers with an error.",
    ),
    Reason(
        ("stored_fields",),
        "`stored_fields: _none_`, so hits have no ids.",
        "Ask for stored fields by name, or for none by `_source: false`.",
    ),
    Reason(
        ("ubi",),
        "The proxy runs with `--ubi off`: the plugin would record the window in BM25 order.",
        "Start the proxy with `--ubi on` or `--ubi no-text`: [User Behavior Insights](ubi.md).",
    ),
    Reason(
        ("mmr",),
        "`ext.mmr` asks OpenSearch for a diverse order, which reranking would undo.",
        "Leave `ext.mmr` out and set [`diversity`](../explanation/ranking.md#diversity), or keep that order.",
    ),
    Reason(
        ("generative_qa_parameters",),
        "`ext.generative_qa_parameters`: the answer would be written from hits in BM25 order.",
        "Use `execution: cluster`, and list the search pipeline in `pipelines_allowed`.",
    ),
    Reason(
        ("ext",),
        "The body's `ext` is not an object. With `refused`, a key of `ext.rerank` or `ext.ubi` is wrong.",
        "Correct the request: the response names the key.",
    ),
    Reason(
        ("docvalue_fields",),
        "The search has 100 of them, OpenSearch's limit, and the vector would be one more. Or it asks for a "
        "field of `fusion.signals`, `keep_exact` or a rule's `term` itself, in an `_msearch` or beside "
        "something that needs a single request.",
        "Ask for 99. Or leave that field out of `fields` and `docvalue_fields`: `_source` has it.",
    ),
    Reason(
        ("filter_path",),
        "The filter shows no hit, or a wildcard in it excludes what reordering needs.",
        "Exclude by name instead of by wildcard.",
    ),
    Reason(
        ("pit",),
        "A point in time whose id is not in OpenSearch's form, or of another cluster.",
        "Create the point in time through the proxy.",
    ),
    Reason(
        ("source",),
        "The parameter `source` beside a body, or not in JSON.",
        "Send the body only.",
    ),
    Reason(
        ("body",),
        "Not plain JSON in UTF-8. OpenSearch also accepts comments, UTF-16 and UTF-32.",
        "Send plain JSON in UTF-8.",
    ),
    Reason(
        ("body_size",),
        "A body over 10 MiB.",
        "Send a smaller body.",
    ),
    Reason(
        ("parameters",),
        "A query string separated by `;`, or not UTF-8.",
        "Separate parameters by `&`.",
    ),
    Reason(
        (
            "content_type",
            "content_encoding",
            "accept",
        ),
        "Another format than JSON, or a coding other than gzip.",
        "Send and accept JSON.",
    ),
    Reason(
        ("lines",),
        "An `_msearch` whose body is not a header line and a body line for each item.",
        "Correct the body.",
    ),
    Reason(
        ("msearch_items",),
        "An `_msearch` of more than 10,000 items.",
        "Send several requests.",
    ),
    Reason(
        ("msearch_hits",),
        "The items of the `_msearch` together ask for more than 10,000 hits in their windows.",
        "Send fewer items, or a smaller `ext.rerank.window_size`.",
    ),
    Reason(
        ("template",),
        "OpenSearch does not render the search template, its output is not JSON, or the caller "
        "may not render templates.",
        "Test it with `_render/template`, or give the caller that right.",
    ),
    Reason(
        (
            "track_total_hits",
            "suggest_field",
        ),
        "In the URL of a search template, where it contradicts the template.",
        "Move it into the template.",
    ),
)

OTHER_APIS: tuple[Reason, ...] = (
    Reason(
        ("rank_eval",),
        "`_rank_eval` measures OpenSearch alone.",
        "Measure the reranked order with `twinrank evaluate` or `twinrank tune`.",
    ),
    Reason(
        ("validate_query",),
        "`_validate/query`: OpenSearch checks the query alone, and does not know `ext.rerank`.",
        "None: leave `ext.rerank` out of the check.",
    ),
    Reason(
        (
            "eql",
            "percolate",
            "knn_search",
        ),
        "APIs of other servers: OpenSearch answers with its error.",
        "Use `_search`.",
    ),
    Reason(
        ("sql",),
        "SQL and PPL.",
        "Use `_search`.",
    ),
    Reason(
        ("asynchronous_search",),
        "Asynchronous searches.",
        "Use `_search`.",
    ),
    Reason(
        ("search_relevance",),
        "The Search Relevance plugin searches inside the cluster.",
        "Use [native pipelines](native.md).",
    ),
    Reason(
        ("rollup",),
        "Rollup searches.",
        "None.",
    ),
)

PASSING: tuple[Reason, ...] = (
    Reason(
        ("deadline",),
        "The machine is busy: the query's vector was not ready `deadline_ms` after OpenSearch's response.",
        "Search again. If it happens often: raise `deadline_ms`, add processors or proxies, or serve [a "
        "smaller bundle](../reference/models.md#which-bundle-do-i-take).",
    ),
    Reason(
        ("overloaded",),
        "The machine is busy: requests wait for a thread, or queries for the encoder"
        " ([overload](operations.md#overload)).",
        "Search again. If it happens often: add processors or proxies, or serve a smaller bundle. "
        "`twinrank_searches_refused_total` says which queue it was.",
    ),
    Reason(
        ("earlier_page",),
        "An earlier page of the same search was skipped for a passing reason, and pages must agree.",
        "None: the next search from page one is reranked again.",
    ),
    Reason(
        ("upstream",),
        "OpenSearch refused the widened request, answered it partially, or its response could not be read.",
        "See the proxy's log and OpenSearch's ([circuit breakers](#circuit-breakers)). If it "
        "lasts, take a smaller `window_size`, or allow inline Painless scripts (`cluster`).",
    ),
    Reason(
        ("scores",),
        "First-stage scores are negative or not finite, so they cannot be fused.",
        "Correct the query's scoring script, or set `fusion.method` to `rrf` or `none`.",
    ),
    Reason(
        ("verify",),
        "`verify_at_search` is on, and the texts of the window cannot be read.",
        "Let callers read the source fields, or turn the setting off.",
    ),
    Reason(
        ("internal",),
        "An unexpected error in the proxy.",
        "Please report it, with the traceback in the log.",
    ),
)

UNKNOWN = Reason(
    (),
    "It cannot be widened (`search_after`, `scroll`, `slice`, `format`), or this version does not know it.",
    "See [search parameters](../reference/search-parameters.md). Leave it out if you can.",
)
"""For every other word, which is the name of a key or parameter of the search."""

_BY_NAME = {
    name: each for table in (SETUP, REQUEST, OTHER_APIS, PASSING) for each in table for name in each.names
}


def find_reason(name: str) -> Reason:
    """Return what is known of a word of `reason=`; UNKNOWN with that name if it is in no table."""
    return _BY_NAME.get(name) or Reason((name,), f"The search has `{name}`. {UNKNOWN.why}", UNKNOWN.remedy)


def flatten_links(text: str) -> str:
    """Return Markdown without links: `[a page](page.md)` becomes `a page (docs/how-to/page.md)`."""
    alone = _NOTHING_BUT_A_LINK.sub(lambda link: f"({_find_page(link[2])})", text)
    return _LINK.sub(lambda link: f"{link[1]} ({_find_page(link[2])})", alone)


def _find_page(target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(_PAGE), target)) if target else _PAGE
