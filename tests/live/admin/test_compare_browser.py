"""The page of both orders in a real Chromium: what a person sees, types and is protected from.

Chromium is the system's own (Debian: apt install chromium); where there is none these tests are skipped.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from opensearchpy import OpenSearch
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from tests.support.indices.toy_index import CHUNKING, ToyIndex, index_body, vector_member

pytestmark = pytest.mark.live
PAGE = "/_plugins/_rerank/compare"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE = {"width": 360, "height": 740}
HOSTILE = (
    '<script>window.ran="script"</script>',
    "<img src=x onerror=\"window.ran='image'\">",
    '"><svg onload="window.ran=\'svg\'">',
    "</td></table><h1>not a heading</h1><a href=\"javascript:window.ran='link'\">link</a>",
    "<style>body { display: none }</style><iframe src=http://example.org></iframe>",
    "{{ 7 * 7 }} {% raw %} &lt;b&gt; \u202egnp.exe \u0000",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next((found for each in PROGRAMS if (found := shutil.which(each))), None)
    if program is None:
        pytest.skip(f"no browser on this machine: install one of {', '.join(PROGRAMS)}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program)
        yield started
        started.close()


@dataclass
class Tab:
    """A page, and everything in it that ought not to be: errors, dialogs, requests to other addresses."""

    page: Page
    origin: str
    wrong: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Begin to note."""
        self.page.on("console", lambda message: self._note("console", message.text))
        self.page.on("pageerror", lambda error: self._note("error", str(error)))
        self.page.on("dialog", self._note_dialog)
        self.page.on("request", lambda request: self._note_request(request.url))

    def compare(self, **asked: str) -> None:
        """Open the page for an index and a text."""
        self.page.goto(f"{self.origin}{PAGE}?{urlencode(asked)}")

    def columns(self) -> tuple[list[str], list[str]]:
        """Return the ids of both orders, as they are shown."""
        ids = self.page.locator("td small").all_inner_texts()
        return ids[::2], ids[1::2]

    def _note(self, kind: str, what: str) -> None:
        self.wrong.append(f"{kind}: {what}")

    def _note_dialog(self, dialog: Dialog) -> None:
        self._note("dialog", dialog.message)
        dialog.dismiss()

    def _note_request(self, url: str) -> None:
        if not url.startswith(f"{self.origin}/"):
            self._note("request", url)


@pytest.fixture
def tab(browser: Browser, proxy_url: str) -> Iterator[Tab]:
    page = browser.new_page()
    opened = Tab(page, proxy_url)
    opened.watch()
    yield opened
    page.close()
    assert opened.wrong == []


def test_both_orders_are_shown(tab: Tab, toy_index: ToyIndex) -> None:
    tab.compare(index=toy_index.name, text=toy_index.query_text)
    straight, reranked = tab.columns()
    assert straight == [hit["_id"] for hit in toy_index.first_stage(10)]
    assert reranked == toy_index.expected_order()[:10]
    assert "applied; window=100" in tab.page.locator(".status").inner_text()
    assert tab.page.get_by_role("columnheader").all_inner_texts()[1:] == [
        "OpenSearch alone", "through Twinrank", "moved",
    ]  # fmt: skip


def test_it_is_used_by_keyboard_alone(tab: Tab, toy_index: ToyIndex) -> None:
    """Tab, type, tab, type, enter: and what was typed stands in the form again."""
    tab.compare()
    keys = tab.page.keyboard
    for text in (toy_index.name, toy_index.query_text):
        keys.press("Tab")
        keys.type(text)
    with tab.page.expect_navigation():
        keys.press("Enter")
    assert tab.columns()[1] == toy_index.expected_order()[:10]
    assert tab.page.get_by_label("Index").input_value() == toy_index.name
    assert tab.page.get_by_label("Text").input_value() == toy_index.query_text
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Tab")
    assert tab.page.evaluate("document.activeElement.tagName") == "BUTTON"


def test_hostile_texts_are_shown_and_do_nothing(
    tab: Tab, client: OpenSearch, toy_index: ToyIndex, index_name: str
) -> None:
    """In documents and in queries alike: each is there to be read, letter by letter."""
    client.indices.create(index=index_name, body=index_body(toy_index.bundle))
    [vector] = toy_index.bundle.load_document_encoder(threads=1)(["x"], CHUNKING)
    for n, text in enumerate(HOSTILE):
        shown = f"{toy_index.query_text} {text}"
        member = vector_member(toy_index.bundle, shown, vector)
        client.index(
            index=index_name,
            id=f"<b>{n}</b>",
            body={"text": shown, **member},
        )
    client.indices.refresh(index=index_name)
    for text in HOSTILE:
        asked = f"{toy_index.query_text} {text}".replace("\u0000", "")
        tab.compare(index=index_name, text=asked)
        assert "applied" in tab.page.locator(".status").inner_text()
        assert tab.page.get_by_label("Text").input_value() == asked
        cells = " ".join(tab.page.locator("td").all_text_contents())
        for each in HOSTILE:
            assert each.partition("\u0000")[0] in cells
        assert len(tab.page.locator("h1").all_inner_texts()) == 1
        assert tab.page.locator("script, img, svg, a, iframe, td b").count() == 0
    assert tab.page.evaluate("window.ran") is None


def test_it_fits_a_phone(browser: Browser, proxy_url: str, toy_index: ToyIndex) -> None:
    """Nothing is wider than the screen, and every letter can be reached without moving sideways."""
    context = browser.new_context(viewport=PHONE, is_mobile=True, device_scale_factor=2)  # type: ignore[arg-type]
    tab = Tab(context.new_page(), proxy_url)
    tab.watch()
    tab.compare(index=toy_index.name, text=toy_index.query_text)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    edges = "[...document.querySelectorAll('td, input, button')].map(e => e.getBoundingClientRect().right)"
    assert max(tab.page.evaluate(edges)) <= PHONE["width"]
    assert len(tab.columns()[1]) == 10
    context.close()
    assert tab.wrong == []


def test_its_policy_lets_nothing_in_or_out(tab: Tab) -> None:
    answer = tab.page.goto(f"{tab.origin}{PAGE}")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
