"""The gate: what fails it, what it only notes, and the reports that it writes."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from plugin.compare.comparison import BothOrders
from plugin.evaluation.baseline import BaselineError, make_baseline, read_baseline, write_baseline
from plugin.evaluation.collection import Collection
from plugin.evaluation.evaluate import Evaluation
from plugin.evaluation.gate import GateResult, check_gate
from plugin.evaluation.gate_report import describe_gate, format_gate, render_junit, render_summary
from plugin.evaluation.measures import Measures, compare
from plugin.evaluation.query_result import QueryResult
from plugin.upstream.search_client import Answer

EMPTY = BothOrders("", Answer({"hits": {"hits": []}}, {}, 0), Answer({"hits": {"hits": []}}, {}, 0))

STRAIGHT = [0.2, 0.5, 0.4, 0.3, 0.6, 0.1]
RERANKED = [0.4, 0.6, 0.7, 0.5, 0.8, 0.2]


def evaluation(
    values: list[float] = RERANKED, *, straight: list[float] = STRAIGHT, status: str = "applied"
) -> Evaluation:
    """Return an evaluation of q0, q1, ... with these values of nDCG@10."""
    ids = [f"q{n}" for n in range(len(values))]
    grades = {id_: {"d": 1.0} for id_ in ids}
    results = tuple(
        QueryResult(id_, f"text of {id_}", before, after, EMPTY, grades[id_])
        for id_, before, after in zip(ids, straight, values, strict=False)
    )
    before, after = (
        Measures(np.array(side), np.array(side), np.zeros(len(side)), np.zeros(len(side)))
        for side in (straight[: len(values)], values)
    )
    difference = compare(before.ndcg, after.ndcg)
    collection = Collection("shop", 9, ("text",), dict.fromkeys(ids, ""), grades, {})
    return Evaluation(
        collection, 1, before, after, difference, difference, {status: len(ids)}, results, ("bge@1",)
    )


def run(after: Evaluation, *pinned: str) -> GateResult:
    return check_gate(after, make_baseline(evaluation(), pinned))


def failed(result: GateResult) -> list[str]:
    return [check.name for check in result.checks if check.outcome == "failed"]


def test_the_same_values_pass() -> None:
    result = run(evaluation(), "q0")
    assert (result.has_passed, failed(result), result.notes) == (True, [], ())
    assert result.change is not None
    assert (result.change.tied, result.change.mean) == (6, 0)
    assert [check.name for check in result.checks] == [
        "searches are reranked",
        "no worse than the baseline",
        "no worse than OpenSearch alone",
        "pinned q0 “text of q0”",
    ]


def test_a_value_that_differs_by_rounding_alone_has_not_fallen() -> None:
    result = run(evaluation([value - 4e-7 for value in RERANKED]), "q0")
    assert (result.has_passed, [query.gain for query in result.compared]) == (True, [0] * 6)
    assert "fell most" not in "\n".join([*format_gate(result), render_summary(result)])


def test_a_fall_beyond_chance_fails_and_a_fall_within_chance_does_not() -> None:
    fallen = run(evaluation([value - 0.05 - n / 1000 for n, value in enumerate(RERANKED)]))
    assert failed(fallen) == ["no worse than the baseline"]
    by_chance = run(evaluation([0.0, *RERANKED[1:]]))
    assert failed(by_chance) == []
    assert by_chance.change is not None
    assert by_chance.change.mean < 0


def test_worse_than_opensearch_alone_fails() -> None:
    straight = [value + 0.1 + n / 1000 for n, value in enumerate(RERANKED)]
    assert failed(run(evaluation(straight=straight))) == ["no worse than OpenSearch alone"]


def test_a_pinned_query_may_not_fall_at_all() -> None:
    assert failed(run(evaluation([0.39, *RERANKED[1:]]), "q0")) == ["pinned q0 “text of q0”"]
    assert failed(run(evaluation([0.4 - 1e-7, *RERANKED[1:]]), "q0")) == []
    assert failed(run(evaluation(RERANKED[:5]), "q5")) == ["pinned q5 “text of q5”"]


def test_a_gate_without_reranking_fails() -> None:
    result = run(evaluation(STRAIGHT, status="skipped; reason=disabled"))
    assert failed(result) == ["searches are reranked", "no worse than the baseline"]


def test_what_changed_beside_the_values_is_noted_and_does_not_fail() -> None:
    new = replace(evaluation([*RERANKED, 0.5], straight=[*STRAIGHT, 0.5]), bundles=("other@2",), relevant=2)
    result = run(new)
    assert result.has_passed
    assert result.notes == (
        "The bundle was bge@1 and is other@2.",
        "1 queries are new and not compared: q6.",
        "--relevant was 1 and is 2.",
    )
    assert run(evaluation(RERANKED[:4])).notes == ("2 queries of the baseline are gone: q4, q5.",)


def test_a_query_with_other_judgements_is_not_compared() -> None:
    now = evaluation([0.0, *RERANKED[1:]])
    results = (replace(now.results[0], grades={"d": 2.0}), *now.results[1:])
    result = run(replace(now, results=results))
    assert len(result.compared) == 5
    assert result.notes == ("1 queries have other judgements than in the baseline and are not compared.",)
    every = tuple(replace(each, grades={}) for each in now.results)
    assert failed(run(replace(now, results=every))) == ["no worse than the baseline"]


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    file, baseline = tmp_path / "baseline.json", make_baseline(evaluation(), ["q1"])
    write_baseline(file, baseline)
    assert read_baseline(file, "shop") == baseline
    assert len([line for line in file.read_text().splitlines() if "text of" in line]) == len(RERANKED)
    assert json.loads(file.read_text())["pinned"] == ["q1"]
    with pytest.raises(BaselineError, match="found no nosuch among them"):
        make_baseline(evaluation(), ["nosuch"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected a baseline as --update writes it in .*, found"),
        ('{"index": "shop"}', "missing required field `bundles`"),
        (
            '{"index": "shop", "bundles": [], "queries": {"q": {"query": "", "value": "x"}}}',
            r"queries\[...\]",
        ),
        ('{"format": 2, "index": "shop", "bundles": [], "queries": {}}', "expected format 1 and metric ndcg"),
        (
            '{"index": "other", "bundles": [], "queries": {}}',
            "expected a baseline of shop, found one of other",
        ),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(content)
    with pytest.raises(BaselineError, match=message):
        read_baseline(file, "shop")


def hostile() -> GateResult:
    """Return a failed result whose texts would break a careless report."""
    now = evaluation([0.1, *RERANKED[1:]])
    first = replace(now.results[0], text='<b>|"&]]>\x00\n# x `y` [z](javascript:0)')
    return run(replace(now, results=(first, *now.results[1:])), "q0", "q1")


def test_junit_names_every_check_and_its_failure() -> None:
    suite = ET.fromstring(render_junit(hostile()).encode()).find("testsuite")  # noqa: S314  # our own
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("5", "1")
    cases = suite.findall("testcase")
    assert [case.find("failure") is not None for case in cases] == [False, False, False, True, False]
    assert '<b>|"&]]>\N{REPLACEMENT CHARACTER}' in str(cases[3].get("name"))
    failure = cases[3].find("failure")
    assert failure is not None
    assert failure.get("message") == "0.400 → 0.100"


def test_the_summary_is_one_table_whatever_the_texts_say() -> None:
    lines = render_summary(hostile()).splitlines()
    assert lines[0] == "## Twinrank gate of shop: failed"
    rows = [line for line in lines if line.startswith("| FAIL")]
    assert len(rows) == 1
    assert r"\<b\>\|" in rows[0]
    assert r"\`y\` \[z\]" in rows[0]
    assert "| q0 |" in lines[-1]
    assert "passed" in render_summary(run(evaluation())).splitlines()[0]


def test_the_text_has_a_line_for_each_check_and_the_queries_that_fell() -> None:
    lines = list(format_gate(hostile()))
    assert [line[:4] for line in lines[:5]] == ["pass", "pass", "pass", "FAIL", "pass"]
    assert lines[-2] == "The queries that fell most since the baseline:"
    assert lines[-1].startswith("  0.400 → 0.100 (-0.300)  q0")
    described = json.loads(json.dumps(describe_gate(hostile())))
    assert (described["passed"], described["fell"][0]["id"]) == (False, "q0")
