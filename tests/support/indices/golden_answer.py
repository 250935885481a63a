"""What a golden search must answer, put together from OpenSearch's own bytes: none of our code reads them."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from opensearch.rawjson.members import read_members
from tests.support.indices.golden_index import Key

_MEMBER = r'"rerank"\s*:\s*\{\s*"vector"\s*:\s*"[A-Za-z0-9+/=]*"\s*\}'
_VALUES = r'"rerank\.vector"\s*:\s*\[\s*"[A-Za-z0-9+/=]*"\s*\]'
_DECODER = json.JSONDecoder()
_TOOK = re.compile(r'"took"(\s*):(\s*)\d+')


def without_ours(text: str) -> str:
    """Return an answer without our field: a comma goes with it, and `fields` that held nothing else."""
    text = _cut(text, rf'"fields"\s*:\s*\{{\s*{_VALUES}\s*\}}')
    return _cut(_cut(text, _VALUES), _MEMBER)


def _cut(text: str, pattern: str) -> str:
    text = re.sub(rf"{pattern}\s*,\s*", "", text)
    text = re.sub(rf"\s*,\s*{pattern}", "", text)
    return re.sub(rf"\{{\s*{pattern}\s*\}}", lambda found: "{ }" if "\n" in found[0] else "{}", text)


def masked(text: str, patterns: list[str]) -> str:
    """Return an answer without what differs from call to call."""
    text = _TOOK.sub('"took":0', text, count=1)
    for pattern in patterns:
        text = re.sub(pattern, "~", text)
    return text


@dataclass(frozen=True)
class Hits:
    """The hits of an answer as they are written, and what stands before, between and behind them."""

    before: str
    texts: list[str]
    between: str
    behind: str

    @classmethod
    def of(cls, text: str) -> "Hits":
        """Find them; an answer without any has everything before them."""
        start = _start_of_hits(text)
        if start is None:
            return cls(text, [], ",", "")
        spans, place = [], start
        while True:
            place = _next(text, place)
            _, end = _DECODER.raw_decode(text, place)
            spans.append((place, end))
            place = _next(text, end)
            if text[place] != ",":
                break
            place += 1
        texts = [text[first:last] for first, last in spans]
        between = text[spans[0][1] : spans[1][0]] if len(spans) > 1 else ","
        return cls(text[: spans[0][0]], texts, between, text[spans[-1][1] :])

    def with_texts(self, texts: list[str]) -> str:
        """Return the answer with other hits."""
        return self.before + self.between.join(texts) + self.behind if texts else self.before + self.behind


def _start_of_hits(text: str) -> int | None:
    outer = next((each for each in read_members(text) if each.key == "hits"), None)
    if outer is None or not isinstance(outer.value, dict) or not outer.value.get("hits"):
        return None
    inside = text[outer.value_start : outer.end]
    inner = next(each for each in read_members(inside) if each.key == "hits")
    return outer.value_start + inner.value_start + 1


def _next(text: str, place: int) -> int:
    while text[place] in " \n\t\r":
        place += 1
    return place


def with_score_of(hit: str, other: str) -> str:
    """Return a hit with another one's `_score`, where it shows one."""
    if "_score" not in json.loads(hit):
        return hit
    found = re.search(r'"_score"\s*:\s*([^,\s}]+)', other)
    assert found
    return re.sub(r'("_score"\s*:\s*)[^,\s}]+', lambda old: old[1] + found[1], hit, count=1)


def key_of(hit: dict[str, Any]) -> Key:
    """Return what tells one hit from another."""
    return hit["_index"], hit["_id"], hit.get("_routing")


def fused_order(first_stage: list[float], crossing: np.ndarray, weight: float) -> list[int]:
    """Return positions by score x exp(weight x cosine), the window's median where a cosine is missing."""
    neutral = float(np.nanmedian(crossing))
    filled = np.where(np.isnan(crossing), neutral, crossing)
    logs = [math.log(score) if score else -math.inf for score in first_stage]
    is_scoreless = not any(first_stage)
    fused = [weight * c + (0.0 if is_scoreless else b) for b, c in zip(logs, filled, strict=True)]
    return sorted(range(len(fused)), key=lambda position: -fused[position])


def assert_same(found: str, wanted: str) -> None:
    """Fail with what stands around the first difference: whole answers are too long to read."""
    if found == wanted:
        return
    place = next(
        (n for n, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b),
        min(len(found), len(wanted)),
    )
    around = slice(max(0, place - 150), place + 150)
    pytest.fail(f"found\n  {found[around]!r}\nwanted\n  {wanted[around]!r}", pytrace=False)
