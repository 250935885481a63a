"""`twinrank explain`: the parts that are shown of a score add up to it, and order the hits."""

import json
import math
import re
from pathlib import Path
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
    "signals": {
        "weight": 6,
        "smoothing": 0.6,
        "signals": [{"field": "n", "kind": "saturation", "weight": -2, "pivot": 40}],
    },
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
    extra = sum(bool(fusion.get(name)) for name in ("feedback", "smoothing", "signals"))
    assert {len(parts) for parts in found} == {len(("first stage", "crossing", "sum")) + extra}


@pytest.mark.live
def test_the_sum_is_the_logarithm_of_the_fused_score_but_for_a_constant(toy_index: ToyIndex) -> None:
    hits = json.loads(explained(toy_index, FUSIONS["both"], "--json"))["hits"]
    shown = sums(explained(toy_index, FUSIONS["both"]))
    constant = 6 * (1 + 0.5)
    for hit, (*_, total) in zip(hits, shown, strict=True):
        assert math.log(hit["rerank"]["fused"]) == pytest.approx(total + constant, abs=ROUNDING + 1e-9)


@pytest.mark.live
@pytest.mark.parametrize("form", ["file", "stdin"])
def test_a_body_is_explained_as_it_is_sent(toy_index: ToyIndex, tmp_path: Path, form: str) -> None:
    """Its size holds unless `--size` is given."""
    body = json.dumps(
        {"query": toy_index.query, "from": 2, "size": 4, "ext": {"rerank": {"window_size": 20}}}
    )
    file = tmp_path / "search.json"
    file.write_text(body)
    given = ["--body", str(file) if form == "file" else "-", "--upstream", toy_index.url, "--json"]
    for options, size in ((), 4), (("--size", "2"), 2):
        arguments = ["explain", toy_index.name, *given, "--bundle", str(TINY_BUNDLE), *options]
        done = CliRunner().invoke(main, arguments, input=body if form == "stdin" else None)
        assert done.exit_code == 0, done.output
        hits = json.loads(done.output)["hits"]
        assert [hit["_id"] for hit in hits] == toy_index.expected_order(20)[2 : 2 + size]


@pytest.mark.live
def test_json_has_the_parts_of_each_score_and_the_title(toy_index: ToyIndex) -> None:
    hits = json.loads(explained(toy_index, FUSIONS["both"], "--json"))["hits"]
    totals = [hit["score_parts"].pop("total") for hit in hits]
    assert totals == sorted(totals, reverse=True)
    assert [sum(hit["score_parts"].values()) for hit in hits] == pytest.approx(totals, abs=0.001)
    assert set(hits[0]["score_parts"]) == {"first_stage", "crossing", "feedback", "smoothing"}
    shown = explained(toy_index, FUSIONS["both"])
    for hit in hits:
        assert hit["title"].removesuffix("…")[:40] in shown
        assert f"_id {hit['_id']}   first stage" in shown


@pytest.mark.live
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"size": 20_000}, "Result window is too large"),
        ({"from": -1}, "[from] parameter cannot be negative"),
        ({"no_such_key": 1}, "no_such_key"),
        ({"ext": {"rerank": {"window": 5}}}, "ext.rerank.window: expected"),
    ],
    ids=str,
)
def test_what_opensearch_or_the_proxy_refuses_is_a_plain_sentence(
    toy_index: ToyIndex, body: dict[str, Any], words: str
) -> None:
    where = ["--upstream", toy_index.url, "--bundle", str(TINY_BUNDLE)]
    done = CliRunner().invoke(
        main, ["explain", toy_index.name, json.dumps({"query": toy_index.query, **body}), *where]
    )
    assert done.exit_code == 1
    assert words in done.stderr
    assert "Traceback" not in done.output
