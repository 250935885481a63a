"""The lab in a real Chromium on a secured cluster: the browser answers OpenSearch's challenge."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.secured.conftest import Secured
from tests.support.browser import open_tab, running_browser

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("only_long")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as started:
        yield started


def credentials(secured: Secured, user: str) -> dict[str, str]:
    return {"username": user, "password": secured.password(user)}


def test_a_user_sees_both_orders_of_what_it_may_search(browser: Browser, secured: Secured) -> None:
    """Playwright gives the password only to a challenge, as a person does in the browser's dialogue."""
    text = secured.articles.query_text
    with open_tab(browser, secured.proxy_url, http_credentials=credentials(secured, "reader")) as tab:
        tab.open(index="articles", text=text)
        assert tab.column("twinrank") == secured.articles.expected_order()[:10]
        tab.open(index="private", text=text)
        assert "This user may not do that" in tab.messages()
        assert secured.password("reader") not in tab.page.url
        assert secured.password("reader") not in tab.page.content()


def test_who_gives_a_wrong_password_is_told_so(browser: Browser, secured: Secured) -> None:
    """Playwright gives it once and then cancels, as a person does who knows no other one."""
    wrong = {"username": "reader", "password": "Wrong-secret-of-this-test-79"}  # pragma: allowlist secret
    with open_tab(browser, secured.proxy_url, http_credentials=wrong) as tab:
        tab.open(index="articles", text="and")
        assert "OpenSearch asks for a user and a password" in tab.messages()
        assert tab.find("index").input_value() == "articles"
        assert tab.column("twinrank") == []
