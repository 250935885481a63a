"""The HTML report in a real Chromium: its own style and no script, in the dark, on a phone.

Chromium is the system's own (Debian: apt install chromium); without one these tests are skipped.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from plugin.evaluation.report_html import render_html
from tests.support.browser import running_browser
from tests.support.made_evaluation import HOSTILE, make_evaluation

pytestmark = pytest.mark.live

PHONE = ViewportSize(width=390, height=844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as started:
        yield started


@pytest.fixture
def report(tmp_path: Path) -> str:
    """Write a report with hostile titles, and return its address."""
    file = tmp_path / "report.html"
    file.write_text(render_html(make_evaluation(0.1, -0.2, 0.3, title=HOSTILE + " word" * 40)))
    return file.as_uri()


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_its_style_applies_and_nothing_else_happens(browser: Browser, report: str) -> None:
    page = browser.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on("request", lambda request: wrong.append(request.url) if request.url != report else None)
    page.goto(report)
    assert background(page) == "rgb(255, 255, 255)"
    assert page.locator("body").is_visible()
    assert "<script>alert(1)</script>" in page.locator("summary").first.inner_text()
    assert wrong == []
    page.close()


def test_it_is_dark_in_the_dark(browser: Browser, report: str) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(report)
    assert background(page) == "rgb(22, 25, 29)"
    page.close()


def test_a_phone_scrolls_in_one_direction(browser: Browser, report: str) -> None:
    page = browser.new_page(viewport=PHONE)
    page.goto(report)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.close()


def test_a_query_opens_by_keyboard(browser: Browser, report: str) -> None:
    page = browser.new_page()
    page.goto(report)
    closed = page.locator("details:not([open])").first
    closed.locator("summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("details:not([open])").count() == 0
    page.close()
