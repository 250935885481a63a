"""The lab in a real Chromium: what a person sees, moves, judges and shares, and is protected from."""

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from opensearchpy import OpenSearch
from playwright.sync_api import Browser, Error, Route

from tests.live.conftest import MakeIndex
from tests.support.browser import DESKTOP, LAB, PHONE, Tab, open_tab
from tests.support.indices.toy_index import CHUNKING, ToyIndex, index_body, vector_member

pytestmark = pytest.mark.live
HOSTILE = (
    '<script>window.ran="script"</script>',
    "<img src=x onerror=\"window.ran='image'\">",
    '"><svg onload="window.ran=\'svg\'">',
    "</li></ol><h1>not a heading</h1><a href=\"javascript:window.ran='link'\">link</a>",
    "<style>body { display: none }</style><iframe src=http://example.org></iframe>",
    "{{ 7 * 7 }} {% raw %} &lt;b&gt; \u202egnp.exe \u0000",
)


def test_both_orders_are_shown(tab: Tab, toy_index: ToyIndex) -> None:
    tab.open(index=toy_index.name, text=toy_index.query_text)
    assert tab.column("opensearch") == [hit["_id"] for hit in toy_index.first_stage(10)]
    assert tab.column("twinrank") == toy_index.expected_order()[:10]
    assert "100 of the best 100 reranked" in tab.find("status").inner_text()
    assert f"100 % of {toy_index.num_documents} documents" in tab.find("coverage").inner_text()
    assert tab.page.locator("#lines path").count() == len(
        set(tab.column("opensearch")) & set(tab.column("twinrank"))
    )


def test_a_hit_says_why_it_is_where_it_is(tab: Tab, toy_index: ToyIndex) -> None:
    tab.open(index=toy_index.name, text=toy_index.query_text)
    first = tab.page.locator("#twinrank > li").first
    first.get_by_text("Why").click()
    assert re.match(r"(Up|Down|Stays) .*", first.locator(".why p").first.inner_text())
    adds = first.locator(".parts tbody td:nth-child(2), .parts tfoot td:nth-child(2)").all_inner_texts()
    *parts, total = (float(text.replace("\N{MINUS SIGN}", "-")) for text in adds)
    assert sum(parts) == pytest.approx(total, abs=0.03)
    assert '"text": ' in first.locator("pre").inner_text()


def test_sliders_act_at_once_and_are_reset(tab: Tab, toy_index: ToyIndex) -> None:
    tab.open(index=toy_index.name, text=toy_index.query_text)
    for name in ("weight", "feedback", "smoothing"):
        tab.find(name).press("Home")
    tab.settle()
    assert tab.column("twinrank") == tab.column("opensearch")
    assert "Both orders are the same" in tab.find("verdict").inner_text()
    assert "weight=0" in tab.page.url
    assert "--set fusion.weight=0" in tab.find("keep").inner_text()
    tab.find("reset").click()
    tab.settle()
    assert tab.column("twinrank") == toy_index.expected_order()[:10]
    assert "weight" not in tab.page.url
    assert tab.find("keep").is_hidden()


def test_the_window_may_be_one_hit(tab: Tab, toy_index: ToyIndex) -> None:
    tab.open(index=toy_index.name, text=toy_index.query_text, window="1")
    assert tab.column("twinrank") == tab.column("opensearch")
    assert tab.find("window").input_value() == "1"
    assert "1 of the best 1 reranked" in tab.find("status").inner_text()


def test_the_last_answer_wins(tab: Tab, toy_index: ToyIndex) -> None:
    """The answer to an older question that arrives late is not shown."""
    tab.open(index=toy_index.name, text=toy_index.query_text)
    held: list[Route] = []
    tab.page.route("**/lab/search/**", lambda route: held.append(route))
    tab.find("weight").press("Home")
    tab.page.wait_for_timeout(500)
    assert len(held) == 1
    tab.page.unroute("**/lab/search/**")
    tab.find("reset").click()
    tab.settle()
    nothing = {"documents": {}, "orders": {"opensearch": [], "twinrank": []}, "notes": [], "elapsed_ms": {}}
    with suppress(Error):  # the page has given the request up
        held[0].fulfill(json=nothing)
    tab.page.wait_for_timeout(300)
    assert tab.column("twinrank") == toy_index.expected_order()[:10]


def test_it_is_used_by_keyboard_alone(tab: Tab, toy_index: ToyIndex) -> None:
    """Type, search, move a slider, reset it, open a cause, judge: without a mouse."""
    tab.open()
    keys = tab.page.keyboard
    focus_on(tab, "index", backwards=True)
    keys.press("Control+A")
    keys.type(toy_index.name)
    keys.press("Tab")
    keys.type(toy_index.query_text)
    keys.press("Enter")
    tab.settle()
    assert tab.column("twinrank") == toy_index.expected_order()[:10]
    focus_on(tab, "weight")
    keys.press("ArrowLeft")
    tab.settle()
    assert "weight=" in tab.page.url
    focus_on(tab, "reset")
    keys.press("Enter")
    tab.settle()
    assert "weight=" not in tab.page.url
    focus_on(tab, "#twinrank .why summary")
    keys.press("Enter")
    assert tab.page.locator("#twinrank details[open]").count() == 1
    focus_on(tab, "#twinrank .thumb")
    keys.press("Space")
    assert re.search(r"1 of \d+ hits judged", tab.find("verdict").inner_text())


def focus_on(tab: Tab, wanted: str, *, backwards: bool = False) -> None:
    """Press Tab until an element has the focus, which must be visible."""
    selector = wanted if wanted.startswith(("#", ".")) else f"#{wanted}"
    for _ in range(60):
        if tab.evaluate(f"document.activeElement.matches({json.dumps(selector)})"):
            outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{wanted}: the focus is not visible"
            return
        tab.page.keyboard.press("Shift+Tab" if backwards else "Tab")
    pytest.fail(f"{wanted} is not reached by Tab")


def test_the_first_tab_skips_to_the_results(tab: Tab, toy_index: ToyIndex) -> None:
    tab.open(index=toy_index.name, text=toy_index.query_text)
    address = tab.page.url
    tab.evaluate("document.activeElement.blur()")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "results"
    assert tab.page.url == address


def test_a_link_opens_the_same_search_and_holds_no_password(
    browser: Browser, tab: Tab, proxy_url: str, toy_index: ToyIndex
) -> None:
    body = json.dumps({"query": {"match": {"text": "%SearchText%"}}, "size": 5})
    tab.open(index=toy_index.name, text=toy_index.query_text, body=body, weight="2.5", title="n")
    tab.find("share").click()
    link = tab.find("link").input_value()
    assert link.startswith(f"{proxy_url}{LAB}#index=")
    with open_tab(browser, proxy_url) as other:
        other.page.goto(link)
        other.settle()
        assert other.column("twinrank") == tab.column("twinrank")
        assert len(other.column("twinrank")) == 5
        assert other.find("weight").input_value() == "2.5"
        assert other.find("body").input_value() == body
        assert other.find("title-field").input_value() == "n"


def test_a_page_that_was_opened_with_a_password_shares_none(
    browser: Browser, proxy_url: str, toy_index: ToyIndex
) -> None:
    scheme, _, rest = proxy_url.partition("://")
    with open_tab(browser, proxy_url) as tab:
        tab.page.goto(f"{scheme}://someone:hidden-word@{rest}{LAB}#index={toy_index.name}&text=and")
        tab.settle()
        assert len(tab.column("twinrank")) > 0
        tab.find("share").click()
        assert "hidden-word" not in tab.find("link").input_value()


def test_going_back_shows_the_search_before(tab: Tab, toy_index: ToyIndex) -> None:
    first, second = toy_index.query_text.split()[:2]
    tab.open(index=toy_index.name, text=first)
    shown = tab.column("twinrank")
    tab.search(second)
    assert tab.column("twinrank") != shown
    tab.page.go_back()
    tab.settle()
    assert tab.find("text").input_value() == first
    assert tab.column("twinrank") == shown


@pytest.mark.parametrize("body", [None, {"query": {"match_all": {}}, "size": 3}])
def test_the_former_address_still_works(tab: Tab, toy_index: ToyIndex, body: dict[str, Any] | None) -> None:
    text = toy_index.query_text if body is None else json.dumps(body)
    tab.page.goto(f"{tab.origin}{LAB}compare?index={toy_index.name}&text={text}")
    tab.settle()
    assert len(tab.column("twinrank")) == (10 if body is None else 3)


def test_an_error_in_a_body_is_shown_at_its_place(tab: Tab, toy_index: ToyIndex) -> None:
    tab.open(index=toy_index.name, text="a")
    tab.find("editor").locator("summary").click()
    tab.find("body").fill('{\n  "query": {"match_all": {}},\n  "size" 3\n}')
    tab.find("body").press("Control+Enter")
    tab.settle()
    assert "Line 3, column 10" in tab.find("body-error").inner_text()
    assert tab.find("body").get_attribute("aria-invalid") == "true"
    assert tab.evaluate("document.activeElement.id") == "body"
    selected = "document.activeElement.value.slice(0, document.activeElement.selectionStart)"
    assert tab.evaluate(selected).endswith('"size" ')
    tab.find("body").fill('{"query": {"match_all": {}}, "size": 3}')
    tab.find("body").press("Control+Enter")
    tab.settle()
    assert len(tab.column("twinrank")) == 3
    assert tab.find("body-error").is_hidden()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"index": "no-such-index", "text": "a"}, ["no-such-index"]),
        ({"index": "..", "text": "a"}, ["expected the name of an index"]),
        ({"index": "toy", "body": '{"query": {"nonsense": {}}}'}, ["unknown query [nonsense]", "400"]),
        ({"index": "toy", "text": "qqqqqq"}, ["No hits: OpenSearch finds nothing"]),
        ({"index": "toy", "body": '{"query": {"match_all": {}}, "sort": ["n"]}'},
         ["Not reranked: this is OpenSearch's own order.", "Leave sort out."]),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("toy_index")
def test_what_goes_wrong_is_said_in_words(tab: Tab, state: dict[str, str], words: list[str]) -> None:
    tab.open(**state)
    for word in words:
        assert word in tab.messages()
    assert "undefined" not in tab.page.locator("body").inner_text()


def test_an_index_without_settings_and_an_empty_one(
    tab: Tab, client: OpenSearch, make_index: MakeIndex, index_name: str
) -> None:
    client.index(index=index_name, id="1", body={"text": "alpha"}, refresh=True)
    tab.open(index=index_name, text="alpha")
    assert tab.column("opensearch") == tab.column("twinrank") == ["1"]
    assert f"twinrank enable {index_name} --field FIELD" in tab.messages()
    assert tab.find("controls").is_hidden()
    empty = make_index()
    tab.open(index=empty, text="alpha")
    assert f"No hits: {empty} is empty." in tab.messages()
    assert "This index is empty." in tab.find("coverage").inner_text()


def test_no_index_is_enabled(tab: Tab) -> None:
    nothing = json.dumps({"indices": [], "is_listed": True})
    tab.page.route(
        "**/lab/indices", lambda route: route.fulfill(body=nothing, content_type="application/json")
    )
    tab.open()
    assert "twinrank enable INDEX --field FIELD" in tab.messages()


def test_a_proxy_that_is_away_is_said_in_words(tab: Tab, toy_index: ToyIndex) -> None:
    tab.open(index=toy_index.name, text="and")
    tab.page.route("**/lab/search/**", lambda route: route.abort())
    tab.search("or")
    assert "Twinrank does not answer" in tab.messages()
    tab.wrong.clear()  # Chromium's own note of the request that failed


def test_titles_of_every_kind(tab: Tab, client: OpenSearch, make_index: MakeIndex) -> None:
    name = make_index()
    client.index(index=name, id="long", body={"text": "alpha " + "x" * 10_000, "shop": {"name": "Short"}})
    client.index(index=name, id="none", body={"text": "alpha", "n": 1}, refresh=True)
    tab.open(index=name, text="alpha")
    assert tab.evaluate("document.documentElement.scrollWidth") <= DESKTOP["width"]
    heights = "Math.max(...[...document.querySelectorAll('.hit')].map(e => e.offsetHeight))"
    assert tab.evaluate(heights) < 250
    tab.find("title-field").select_option("shop.name")
    tab.settle()
    assert sorted(tab.page.locator("#opensearch .title").all_inner_texts()) == ["Short", "alpha"]


def test_hostile_texts_are_shown_and_do_nothing(
    tab: Tab, client: OpenSearch, toy_index: ToyIndex, index_name: str
) -> None:
    """In documents and in queries alike: each is there to be read, letter by letter."""
    client.indices.create(index=index_name, body=index_body(toy_index.bundle))
    [vector] = toy_index.bundle.load_document_encoder(threads=1)(["x"], CHUNKING)
    for n, text in enumerate(HOSTILE):
        shown = f"{toy_index.query_text} {text}"
        member = vector_member(toy_index.bundle, shown, vector)
        client.index(index=index_name, id=f"<b>{n}</b>", body={"text": shown, **member})
    client.indices.refresh(index=index_name)
    for text in HOSTILE:
        asked = f"{toy_index.query_text} {text}".replace("\u0000", "")
        tab.open(index=index_name, text=asked)
        assert "reranked" in tab.find("status").inner_text()
        assert tab.find("text").input_value() == asked
        titles = " ".join(tab.page.locator(".title").all_text_contents())
        for each in HOSTILE:
            assert each.partition("\u0000")[0] in titles
        assert len(tab.page.locator("h1").all_inner_texts()) == 1
        assert tab.page.locator("main script, main img, main iframe, main style, main a").count() == 0
        tab.page.locator("#twinrank .thumb").first.click()
    assert tab.evaluate("window.ran") is None
    assert len(tab.page.locator("#judged-queries li").all()) == len(HOSTILE)


def test_its_policy_lets_nothing_in_or_out(tab: Tab) -> None:
    answer = tab.page.goto(f"{tab.origin}{LAB}")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    with pytest.raises(Error, match="TrustedHTML"):
        tab.evaluate("document.body.innerHTML = '<b>x</b>'")
    with pytest.raises(Error, match="Failed to fetch"):
        tab.evaluate("fetch('http://127.0.0.1:9/')")
    tab.wrong.clear()  # the reports of both


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Browser, proxy_url: str, toy_index: ToyIndex, scheme: str) -> None:
    """Nothing is wider than the screen, each order has the whole of it, and thumbs are large enough."""
    with open_tab(
        browser, proxy_url, viewport=PHONE, is_mobile=True, has_touch=True, color_scheme=scheme
    ) as tab:
        tab.open(index=toy_index.name, text=toy_index.query_text)
        tab.page.locator("#twinrank .why summary").first.tap()
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        edges = (
            "[...document.querySelectorAll('main *')].filter(e => e.getClientRects().length"
            " && !e.closest('pre')).map(e => e.getBoundingClientRect().right)"
        )
        assert max(tab.evaluate(edges)) <= PHONE["width"]
        assert tab.page.locator("#twinrank > li").first.is_visible()
        assert tab.page.locator("#opensearch > li").first.is_hidden()
        tab.page.get_by_role("button", name="OpenSearch", exact=True).tap()
        assert tab.page.locator("#opensearch > li").first.is_visible()
        box = tab.page.locator("#opensearch .thumb").first.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44


def test_colours_follow_the_system(browser: Browser, proxy_url: str) -> None:
    found = {}
    for scheme in ("light", "dark"):
        with open_tab(browser, proxy_url, color_scheme=scheme) as tab:
            tab.open()
            found[scheme] = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert found["light"] != found["dark"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(
    browser: Browser, proxy_url: str, toy_index: ToyIndex, viewport: dict[str, int], scheme: str
) -> None:
    """axe-core's rules (WCAG 2.2 AA and good practice), on each state of the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    states = [
        {},
        {"index": toy_index.name, "text": toy_index.query_text, "weight": "3"},
        {"index": toy_index.name, "body": '{"query": }'},
        {"index": toy_index.name, "body": '{"query": {"match_all": {}}, "sort": ["n"]}'},
    ]
    with open_tab(browser, proxy_url, viewport=viewport, color_scheme=scheme, bypass_csp=True) as tab:
        for state in states:
            tab.open(**state)
            if "text" in state:
                tab.page.locator("#twinrank .why summary").first.click()
                tab.page.locator("#twinrank .thumb").first.click()
            found = axe.run(tab.page)
            assert found.violations_count == 0, found.generate_report()


def test_files_and_screens_are_small(tab: Tab) -> None:
    """The whole page is less than an image of it."""
    sizes: dict[str, int] = {}
    tab.page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))
    tab.page.goto(f"{tab.origin}{LAB}")
    tab.settle()
    assert sum(sizes.values()) < 80_000, sizes
