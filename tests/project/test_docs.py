"""Documentation that cannot rot: what the code can say stands in the docs, and the reverse."""

import ast
import re
from pathlib import Path

from opensearch.search.execution import FALLBACKS
from opensearch.search.unranked_apis import find_unranked_api
from plugin.search.page_agreement import EARLIER_PAGE
from tests.support.command_reference import PAGE, command_reference
from tests.support.paths import DOCS, ROOT
from tests.support.reason_tables import PAGE as REASONS_PAGE
from tests.support.reason_tables import TABLES, page_with_tables, reason_table
from tests.support.settings_table import settings_table

SOURCES = ("plugin", "opensearch")
REASON_GIVERS = ("Skip", "skipped", "NotUnderstoodError", "RerankFailedError")
"""What is called with a reason."""

UNRANKED = (
    "/_rank_eval", "/_rollup_search", "/_plugins/_sql", "/_plugins/_asynchronous_search",
    "/_plugins/_search_relevance",
)  # fmt: skip
"""A path of each API that is not reranked."""


def test_every_reason_has_a_remedy() -> None:
    known = {name for table in TABLES.values() for reason in table for name in reason.names}
    reasons = reasons_in_code()
    assert len(reasons) > 45
    assert reasons - known == set()


def test_the_tables_of_reasons_are_those_of_the_code() -> None:
    page = REASONS_PAGE.read_text()
    assert page == page_with_tables(page), "write them: python -m tests.support.reason_tables"
    assert all(reason_table(reasons) in page for reasons in TABLES.values())


def reasons_in_code() -> set[str]:
    """Return every word that `reason=` may have, but for names of keys and parameters."""
    files = (file for folder in SOURCES for file in (ROOT / folder).rglob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    calls = (node for node in nodes if isinstance(node, ast.Call) and called_name(node) in REASON_GIVERS)
    functions = (
        node
        for node in nodes
        if isinstance(node, ast.FunctionDef) and node.name in ("_check_order", "_check_page")
    )
    returns = (node for function in functions for node in ast.walk(function) if isinstance(node, ast.Return))
    values = [*(argument for call in calls for argument in call.args[:1]), *(node.value for node in returns)]
    words = {word for value in values if value is not None for word in words_in(value)}
    return words | {EARLIER_PAGE} | {str(find_unranked_api("GET", path)) for path in UNRANKED}


def called_name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def words_in(value: ast.expr) -> set[str]:
    """Return the words among the possible values of an expression."""
    found = {node.value for node in ast.walk(value) if isinstance(node, ast.Constant)}
    return {word for word in found if isinstance(word, str) and re.fullmatch("[a-z]+(_[a-z]+)*", word)}


def test_every_reason_for_a_fallback_is_documented() -> None:
    document = (ROOT / "docs/reference/proxy.md").read_text()
    assert all(f"\n| `{reason}` | " in document for reason in FALLBACKS)


def pages() -> list[Path]:
    """Return every page: those of the site, and those at the root that GitHub shows."""
    return [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / ".github").rglob("*.md")]


def without_code(page: Path) -> str:
    """Return a page's text without blocks and spans of code, which have no links."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "code", text)


def links(page: Path) -> list[tuple[Path, str]]:
    """Return the file and the anchor of every link of a page to another place of the repository."""
    targets = re.findall(r"\]\(((?!https?://|mailto:)[^)\s]+)\)", without_code(page))
    parts = (target.partition("#") for target in targets)
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in parts]


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in links, as GitHub and the site make it."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_link_leads_to_a_place_that_exists() -> None:
    found = [(page, target, anchor) for page in pages() for target, anchor in links(page)]
    assert len(found) > 150
    for page, target, anchor in found:
        assert target.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {target.name}#{anchor}"


def test_the_site_links_to_nothing_that_is_not_in_it() -> None:
    outside = {
        (page.name, target.name)
        for page in DOCS.rglob("*.md")
        for target, _ in links(page)
        if not target.is_relative_to(DOCS)
    }
    assert outside == set()


def test_every_file_that_a_page_names_exists() -> None:
    named = re.compile(r"`((?:indexer|model_export|opensearch|plugin|reranker|tests)/[\w./-]+)`")
    for page in pages():
        if page.name != "CHANGELOG.md":
            for path in named.findall(page.read_text()):
                assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named
    assert named <= targets


def test_the_settings_table_is_that_of_the_code() -> None:
    assert settings_table() in (ROOT / "docs/reference/settings.md").read_text()


def test_the_command_reference_is_that_of_the_commands() -> None:
    stale = "write it: python -m tests.support.command_reference"
    assert PAGE.read_text() == command_reference(), stale
