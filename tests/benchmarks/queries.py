"""Distinct queries out of real text."""

import random
from collections.abc import Sequence


def distinct_queries(texts: Sequence[str], count: int) -> list[str]:
    """Return `count` different queries of five to nine consecutive words, the same ones on every call."""
    draw = random.Random(0)
    queries: dict[str, None] = {}
    words_of = [words for words in (text.split() for text in texts) if len(words) >= 5]
    while len(queries) < count:
        words, length = draw.choice(words_of), draw.randint(5, 9)
        start = draw.randrange(max(1, len(words) - length + 1))
        picked = words[start : start + length]
        while " ".join(picked) in queries:  # few texts run out: words of other ones make it new
            picked.append(draw.choice(draw.choice(words_of)))
        queries[" ".join(picked)] = None
    return list(queries)
