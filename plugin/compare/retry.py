"""Searches of Twinrank's own tools: asked again, a few times, if a busy machine leaves them unranked."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from plugin.upstream.search_client import Answer, SearchClient

DEADLINE_MS = 5_000
"""What a tool waits for a query's vector: it shows an order, and is not in a hurry."""

TRIES = 5
"""How often a tool asks at most."""

PAUSES_S = {"deadline": 0.0, "overloaded": 0.3}
"""Reasons that pass with the load, and the pause before the next try, in seconds.

A query that missed its deadline has its vector by then.
"""

_Result = TypeVar("_Result")


def parse_reason(status: str) -> str:
    """Return the reason in a `Rerank-Status`, empty if it has none."""
    words = (part.strip() for part in status.split(";"))
    return next((word.removeprefix("reason=") for word in words if word.startswith("reason=")), "")


def is_due_to_load(status: str) -> bool:
    """Whether a `Rerank-Status` says that the search was not reranked only because the machine was busy."""
    return parse_reason(status) in PAUSES_S


def set_deadline(search: dict[str, Any], deadline_ms: int = DEADLINE_MS) -> dict[str, Any]:
    """Return a search body that asks for a deadline, in milliseconds, unless it names its own.

    A body whose `ext.rerank` is no object is returned as it is, for the proxy to refuse.
    """
    ext = search.get("ext", {})
    rerank = ext.get("rerank", {}) if isinstance(ext, dict) else None
    if not isinstance(rerank, dict):
        return search
    return search | {"ext": {**ext, "rerank": {"deadline_ms": deadline_ms, **rerank}}}


def retry_until_reranked(
    ask: Callable[[], _Result],
    reason: Callable[[_Result], str],
    *,
    tries: int = TRIES,
    sleep: Callable[[float], None] = time.sleep,
) -> _Result:
    """Return what `ask` returns once the load allows it, or the last answer after so many tries.

    `reason` returns why an answer was not reranked, empty if it was.
    """
    for _ in range(tries - 1):
        answer = ask()
        why = reason(answer)
        if why not in PAUSES_S:
            return answer
        sleep(PAUSES_S[why])
    return ask()


def search_until_reranked(
    proxied: SearchClient, index: str, body: dict[str, Any], *, tries: int = TRIES
) -> tuple[Answer, int]:
    """Search through the proxy as an application does; if the load requires it, again with a longer deadline.

    The first request is the application's own, because only an index with settings takes `ext.rerank`: an
    answer that blames the load comes from such an index.

    Returns:
        The last answer, and how often the search was sent again.

    Raises:
        SearchError: no answer, or another status than 200.
    """
    first = proxied.search(index, body)
    if not is_due_to_load(first.status):
        return first, 0
    patient, answers = set_deadline(body), [first]

    def ask() -> Answer:
        answers.append(proxied.search(index, patient))
        return answers[-1]

    last = retry_until_reranked(ask, lambda answer: parse_reason(answer.status), tries=tries - 1)
    return last, len(answers) - 1
