"""A browser for the tests of a module, and a tab of it for each test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Tab, open_tab, running_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a Chromium; not for the whole session, since Playwright keeps an event loop running."""
    with running_browser() as started:
        yield started


@pytest.fixture
def tab(browser: Browser, proxy_url: str) -> Iterator[Tab]:
    """Yield a tab; at its end nothing in it may have gone wrong."""
    with open_tab(browser, proxy_url) as opened:
        yield opened
