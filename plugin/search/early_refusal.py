"""Searches that a worker with too much to do refuses before it plans them.

What its queues alone decide needs no plan. Planning is skipped only if it could change nothing of what the
client gets: a plain first page, on indices whose settings do no more than rerank.
"""

from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.rules import NO_EFFECTS, RuleEffects
from opensearch.settings.experiment import ExperimentSettings
from opensearch.settings.skip import Skip
from opensearch.settings.target import Target

_PLAIN_KEYS = frozenset({"_source", "fields", "highlight", "query", "size", "track_total_hits"})
"""Keys of a body that neither ask for another page nor for anything of the proxy."""


def needs_no_plan(asked: SearchRequest | Skip, target: Target, rules: RuleEffects) -> bool:
    """Whether a search that is refused need not be planned.

    Args:
        asked: the client's search.
        target: what its indices say.
        rules: what the rules that apply to it do.
    """
    settings = target.settings
    if isinstance(asked, Skip) or isinstance(settings, Skip):
        return False
    if asked.parameters or not asked.body.keys() <= _PLAIN_KEYS:
        return False
    if rules != NO_EFFECTS or target.pipelines or not target.is_ours:
        return False
    if settings.on_failure == "error" or settings.experiment != ExperimentSettings():
        return False
    return settings.enabled and "query" in asked.body and _has_hits(asked)


def _has_hits(asked: SearchRequest) -> bool:
    try:
        return asked.size > 0
    except NotUnderstoodError:
        return False
