"""The figures of a run as a section of docs/reference/results.md."""

from collections.abc import Sequence

from tests.benchmarks.report import machine_line
from tests.fuzz.run import LIMIT_S, Report

MARK, HEADING = "python -m tests.fuzz", "Fuzzing"
"""Where the section stands in docs/reference/results.md."""


def section(reports: Sequence[Report], command: str) -> str:
    """Return the section."""
    total, found = sum(each.num_inputs for each in reports), sum(len(each.findings) for each in reports)
    lines = [
        f"`{command}`: {machine_line(total, 'inputs')}",
        "",
        f"{found} of them broke a promise: an undocumented exception, more than {LIMIT_S:.0f} s, a lost or"
        " changed byte, another order than plain code gives.",
        "",
        "| what is read | inputs | a second | slowest, ms | findings |",
        "|---|---:|---:|---:|---:|",
    ]
    for each in reports:
        rate = each.num_inputs / each.seconds if each.seconds else 0.0
        shown = f"{each.num_inputs:,} | {rate:,.0f} | {each.slowest_ms:.1f} | {len(each.findings)}"
        lines.append(f"| `{each.target}` | {shown} |")
    return "\n".join(lines)
