"""Documentation that cannot rot: what the code can say stands in the docs, and the reverse."""

import re

from opensearch.search.execution import FALLBACKS
from tests.support.paths import ROOT
from tests.support.settings_table import settings_table

SOURCES = ("plugin", "opensearch")


def test_every_reason_is_documented() -> None:
    """`Skip`, `NotUnderstoodError` and `RerankFailedError` are the only ways to a reason."""
    pattern = re.compile(r'(?:Skip|NotUnderstoodError|RerankFailedError|_passed_through)\([^")]*"(\w+)"')
    code = "".join(file.read_text() for folder in SOURCES for file in (ROOT / folder).rglob("*.py"))
    reasons = set(pattern.findall(code))
    documented = set(re.findall(r"`(?:reason=)?(\w+)`", (ROOT / "docs/reference/proxy.md").read_text()))
    assert len(reasons) > 15
    assert reasons <= documented


def test_every_reason_for_a_fallback_is_documented() -> None:
    document = (ROOT / "docs/reference/proxy.md").read_text()
    assert all(f"\n| `{reason}` | " in document for reason in FALLBACKS)


def test_every_link_between_documents_leads_somewhere() -> None:
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named
    assert named <= targets


def test_the_settings_table_is_that_of_the_code() -> None:
    assert settings_table() in (ROOT / "docs/reference/settings.md").read_text()
