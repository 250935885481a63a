"""Write the tables of docs/how-to/troubleshooting.md: `python -m tests.support.reason_tables`."""

import re

from plugin.compare.reasons import OTHER_APIS, PASSING, REQUEST, SETUP, UNKNOWN, Reason
from tests.support.paths import DOCS

PAGE = DOCS / "how-to" / "troubleshooting.md"
HEAD = "| `reason=` | why | remedy |\n|---|---|---|\n"
TABLES = {
    "Reasons of setup": SETUP,
    "Reasons of the request": (*REQUEST, UNKNOWN),
    "APIs that are not reranked": OTHER_APIS,
    "Reasons that pass": PASSING,
}
"""The headings of the page, and the table below each."""


def reason_table(reasons: tuple[Reason, ...]) -> str:
    """Return a Markdown table of reasons."""
    return HEAD + "".join(_row(reason) for reason in reasons)


def page_with_tables(page: str) -> str:
    """Return the page with each of its tables written again."""
    for heading, reasons in TABLES.items():
        before, text, after = re.split(
            rf"(?<=\n## {heading}\n)((?:[^|\n]*\n)*)(?:\|[^\n]*\n)+", page, maxsplit=1
        )
        page = f"{before}{text}{reason_table(reasons)}{after}"
    return page


def _row(reason: Reason) -> str:
    names = ", ".join(f"`{name}`" for name in reason.names) or "the name of a key or parameter"
    return f"| {names} | {reason.why} | {reason.remedy} |\n"


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text()))
