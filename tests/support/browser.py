"""A real Chromium, and a tab that notes everything that ought not to happen in it.

Chromium is the system's own (Debian: apt install chromium); where there is none its tests are skipped.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Locator, Page, sync_playwright

LAB = "/_plugins/_rerank/"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}

_ANSWERED_WITH_AN_ERROR = "Failed to load resource: the server responded with a status of"
"""Chromium's own note on an error that the page is to show."""


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Yield a browser, or skip the test."""
    program = next((found for each in PROGRAMS if (found := shutil.which(each))), None)
    if program is None:
        pytest.skip(f"no browser on this machine: install one of {', '.join(PROGRAMS)}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program)
        yield started
        started.close()


@dataclass
class Tab:
    """A page of the lab, and what was wrong in it: errors, dialogs, requests to other addresses."""

    page: Page
    origin: str
    wrong: list[str] = field(default_factory=list)
    downloads: dict[str, str] = field(default_factory=dict)

    def watch(self) -> None:
        """Begin to note."""
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("dialog", self._note_dialog)
        self.page.on("request", lambda request: self._note_request(request.url))

    def open(self, **state: str) -> None:
        """Open the lab with a state, and wait until it has settled."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.origin}{LAB}#{urlencode(state, quote_via=quote)}")
        self.settle()

    def settle(self) -> None:
        """Wait until the answers to all questions are shown."""
        self.page.locator("body:not(.busy)").wait_for()

    def search(self, text: str) -> None:
        """Type a text, and send it by Enter."""
        self.find("text").fill(text)
        self.find("text").press("Enter")
        self.settle()

    def find(self, name: str) -> Locator:
        """Return the element with this id."""
        return self.page.locator(f"#{name}")

    def column(self, side: str) -> list[str]:
        """Return the ids in one order, `opensearch` or `twinrank`, as they are shown."""
        return self.page.locator(f"#{side} > li .id").all_inner_texts()

    def messages(self) -> str:
        """Return what is said above the results."""
        return self.find("message").inner_text()

    def thumb(self, id_: str, word: str, side: str = "twinrank") -> Locator:
        """Return a thumb of a document: `Relevant` or `Not relevant`."""
        return self.page.locator(f'#{side} > li[data-id="{id_}"]').get_by_title(word, exact=True)

    def download(self, button: str) -> str:
        """Press a button that saves a file, and return the file's text."""
        with self.page.expect_download() as saved:
            self.find(button).click()
        self.downloads[saved.value.suggested_filename] = text = saved.value.path().read_text()
        return text

    def evaluate(self, script: str) -> Any:  # noqa: ANN401  # any value of JavaScript
        """Run a script in the page, and return its value."""
        return self.page.evaluate(script)

    def _note_message(self, message: ConsoleMessage) -> None:
        if not message.text.startswith(_ANSWERED_WITH_AN_ERROR):
            self.wrong.append(f"console: {message.text}")

    def _note_dialog(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note_request(self, url: str) -> None:
        without_user = re.sub("//[^/@]*@", "//", url, count=1)
        if not without_user.startswith((f"{self.origin}/", "about:", "blob:", "data:")):
            self.wrong.append(f"request: {url}")


@contextmanager
def open_tab(browser: Browser, origin: str, **context: Any) -> Iterator[Tab]:  # noqa: ANN401  # Playwright's
    """Yield a tab of a browser window of its own; at its end nothing may have gone wrong."""
    window = browser.new_context(**{"viewport": DESKTOP, **context})
    tab = Tab(window.new_page(), origin)
    tab.watch()
    yield tab
    window.close()
    assert not tab.wrong, "\n".join(tab.wrong)
