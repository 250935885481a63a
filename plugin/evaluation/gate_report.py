"""The result of a gate: for people, for a test report (JUnit), and as a summary in Markdown."""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from plugin.evaluation.gate import GateCheck, GateResult
from plugin.evaluation.query_result import PairedQuery, select_worst

_MARKS = {"passed": "pass", "failed": "FAIL"}

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot have."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def format_gate(result: GateResult) -> Iterator[str]:
    """Yield the checks, the notes and the queries that fell most, one a line."""
    for check in result.checks:
        yield f"{_MARKS[check.outcome]}  {_flatten(check.name)}: {_flatten(check.detail)}"
    yield from (f"note: {note}" for note in result.notes)
    worst = select_worst(result.compared)
    if worst:
        yield "The queries that fell most since the baseline:"
        yield from (f"  {query.format()}" for query in worst)


def describe_gate(result: GateResult) -> dict[str, Any]:
    """Return everything as plain values."""
    return {
        "index": result.index,
        "passed": result.has_passed,
        "checks": [vars(check) for check in result.checks],
        "notes": list(result.notes),
        "queries": len(result.compared),
        "change": result.change and vars(result.change),
        "against_first_stage": vars(result.against_first_stage),
        "fell": [vars(query) for query in select_worst(result.compared)],
    }


def render_junit(result: GateResult) -> str:
    """Return the checks as JUnit's XML: a test suite with a test case for each."""
    suites = ET.Element("testsuites")
    counts = {
        "tests": str(len(result.checks)),
        "failures": str(sum(check.outcome == "failed" for check in result.checks)),
        "skipped": "0",
        "errors": "0",
    }
    suite = ET.SubElement(suites, "testsuite", {"name": _clean(f"twinrank gate {result.index}"), **counts})
    for check in result.checks:
        case = ET.SubElement(
            suite, "testcase", {"classname": "twinrank.gate", "name": _clean(check.name), "time": "0"}
        )
        if check.outcome == "failed":
            ET.SubElement(case, "failure", {"message": _clean(check.detail)})
        else:
            ET.SubElement(case, "system-out").text = _clean(check.detail)
    if result.notes:
        ET.SubElement(suite, "system-out").text = _clean("\n".join(result.notes))
    written: str = ET.tostring(suites, encoding="unicode", xml_declaration=False)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{written}\n'


def render_summary(result: GateResult) -> str:
    """Return a summary in Markdown, as for GITHUB_STEP_SUMMARY."""
    verdict = "passed" if result.has_passed else "failed"
    lines = [
        f"## Twinrank gate of {_escape(result.index)}: {verdict}",
        "",
        "| | check | result |",
        "|---|---|---|",
        *(_format_row(check) for check in result.checks),
        "",
        *(f"- {_escape(note)}" for note in result.notes),
    ]
    worst = select_worst(result.compared)
    if worst:
        lines += ["", "The queries that fell most since the baseline (nDCG@10):", ""]
        lines += ["| id | query | baseline | now | |", "|---|---|---|---|---|"]
        lines += [_format_query(query) for query in worst]
    return "\n".join([*lines, ""])


def _format_row(check: GateCheck) -> str:
    return f"| {_MARKS[check.outcome]} | {_escape(check.name)} | {_escape(check.detail)} |"


def _format_query(query: PairedQuery) -> str:
    values = f"{query.before:.3f} | {query.after:.3f} | {query.gain:+.3f}"
    return f"| {_escape(query.id)} | {_escape(query.text)} | {values} |"


def _flatten(text: str) -> str:
    return " ".join(text.split())


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", _flatten(text))


def _clean(text: str) -> str:
    """Return text without what XML cannot have."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
