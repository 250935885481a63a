"""`twinrank explain`: the parts that are shown of a score add up to it, and order the hits."""

import json
import math
import re
from typing import Any

import pytest
from click.testing import CliRunner

from plugin.commands.main import main
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import TINY_BUNDLE

FUSIONS: dict[str, dict[str, Any]] = {
    "the bundle's own": {},
    "a weight": {"weight": 3},
    "feedback": {"feedback": 0.5, "smoothing": 0},
    "smoothing": {"feedback": 0, "smoothing": 0.6},
    "both": {"weight": 6, "feedback": 0.5, "smoothing": 0.6},
}
ROUNDING = 0.005
"""Each number is shown with two digits behind the point."""


def explained(toy: ToyIndex, fusion: dict[str, Any], *options: str) -> str:
    body = {"query": toy.query, "size": 20, "ext": {"rerank": {"fusion": fusion, "deadline_ms": 10_000}}}
    where = ["--upstream", toy.url, "--bundle", str(TINY_BUNDLE), *options]
    done = CliRunner().invoke(main, ["explain", toy.name, json.dumps(body), *where])
    assert done.exit_code == 0, done.output
    return done.output


def sums(shown: str) -> list[list[float]]:
    """Return the numbers of each hit's line, the sum last."""
    lines = [line for line in shown.splitlines() if "first stage " in line and " = " in line]
    return [
        [float(part) for part in re.findall(r"→ ([+-]?[0-9.]+)", line)] + [float(line.rpartition("= ")[2])]
        for line in lines
    ]


@pytest.mark.live
@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
def test_the_parts_of_a_score_are_its_sum_and_order_the_hits(
    toy_index: ToyIndex, fusion: dict[str, Any]
) -> None:
    shown = explained(toy_index, fusion)
    found = sums(shown)
    assert len(found) == 20
    for *parts, total in found:
        assert sum(parts) == pytest.approx(total, abs=ROUNDING * (len(parts) + 1) + 1e-9)
    totals = [total for *_, total in found]
    assert totals == sorted(totals, reverse=True)
    extra = sum(bool(fusion.get(name)) for name in ("feedback", "smoothing"))
    assert {len(parts) for parts in found} == {len(("first stage", "crossing", "sum")) + extra}


@pytest.mark.live
def test_the_sum_is_the_logarithm_of_the_fused_score_but_for_a_constant(toy_index: ToyIndex) -> None:
    hits = json.loads(explained(toy_index, FUSIONS["both"], "--json"))["hits"]
    shown = sums(explained(toy_index, FUSIONS["both"]))
    constant = 6 * (1 + 0.5)
    for hit, (*_, total) in zip(hits, shown, strict=True):
        assert math.log(hit["rerank"]["fused"]) == pytest.approx(total + constant, abs=ROUNDING + 1e-9)
