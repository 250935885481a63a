"""Why a search was not reranked, in a sentence for people, with what to do about it."""

from plugin.compare.retry import parse_reason

_BUSY = "The machine is busy, and the query's vector was not ready in time. Search again."

_WORDS = {
    "deadline": _BUSY,
    "overloaded": "The machine is busy, so Twinrank left this search to OpenSearch. Search again.",
    "not_enabled": "Reranking is not enabled for this index, or you may not see its settings:"
    " twinrank enable INDEX --field FIELD.",
    "disabled": "Reranking is switched off for this index or this request: twinrank enable INDEX.",
    "coverage": "Too few documents have vectors yet (min_coverage): twinrank status INDEX.",
    "vectors": "None of these hits has a usable vector: twinrank sync INDEX.",
    "model": "The index has vectors of another model, or the encoder failed: twinrank status INDEX.",
    "query_text": "The query has no text to rerank by (docs/reference/query-text.md).",
    "sort": "The search is sorted by something other than its score.",
    "settings": "The settings of this index are wrong: twinrank settings INDEX.",
    "indices": "These indices have different settings, or some have none.",
    "upstream": "OpenSearch refused the wider search, so your own was sent. The proxy's log says why.",
    "size": "The search asks for no hits.",
    "ubi": "ext.ubi has OpenSearch's own hits recorded. Leave it out to have the search reranked.",
    "mmr": "ext.mmr asks for OpenSearch's diverse order. Leave it out to have the search reranked.",
    "generative_qa_parameters": "The answer would be written from OpenSearch's own order."
    " Use execution: cluster.",
}


def describe_status(status: str) -> str:
    """Return a sentence on a search that was not reranked, empty if it was; a tool got the `Rerank-Status`.

    An empty `status` means that no proxy answered.
    """
    if status.startswith("applied"):
        return ""
    if not status:
        return "The answer has no Rerank-Status: is this address Twinrank's?"
    return describe_reason(parse_reason(status))


def describe_reason(reason: str) -> str:
    """Return a sentence on a search that was not reranked for this reason."""
    known = _WORDS.get(reason, f"The reason is `{reason}` (docs/how-to/troubleshooting.md explains it).")
    return f"Not reranked: this is OpenSearch's own order. {known}"
