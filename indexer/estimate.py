"""How long a sync will take here, from the encoding time of a few of the documents that lack a vector."""

import time
from collections.abc import Callable, Sequence

from indexer.enricher import Encode
from reranker.text import Chunking

BUDGET_S = 1.5
"""The measurement stops after this many seconds, and after one text at least."""

WRITE_S = 0.002
"""Reading and writing a document takes about this long in addition, measured on two cores."""

_MINUTE_S, _HOUR_S = 60, 3600


def estimate_s(
    texts: Sequence[str],
    num_documents: int,
    encode: Encode,
    chunking: Chunking,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Estimate how many seconds it takes to give `num_documents` documents a vector.

    `texts` are those of a few of them, empty if a document has none; each is encoded once, as long as
    BUDGET_S lasts.
    """
    begin, num_encoded = clock(), 0
    for text in texts:
        if num_encoded and clock() - begin > BUDGET_S:
            break
        num_encoded += 1
        if text:
            encode([text], chunking)
    mean_s = (clock() - begin) / max(1, num_encoded)
    return num_documents * (mean_s + WRITE_S)


def in_words(seconds: float) -> str:
    """Return a duration as people say it: `less than 1 min`, `about 5 min`, `about 3 h`, `about 4 days`."""
    if seconds < _MINUTE_S:
        return "less than 1 min"
    if seconds < 2 * _HOUR_S:
        return f"about {seconds / _MINUTE_S:.0f} min"
    if seconds < 48 * _HOUR_S:
        return f"about {seconds / _HOUR_S:.0f} h"
    return f"about {seconds / (24 * _HOUR_S):.0f} days"
