"""A search that was not reranked, in a sentence for people, with what to do about it."""

from plugin.compare.reasons import find_reason
from plugin.compare.retry import parse_reason

OWN_ORDER = "Not reranked: this is OpenSearch's own order."


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
    return f"{OWN_ORDER} {find_reason(reason).describe()}"
