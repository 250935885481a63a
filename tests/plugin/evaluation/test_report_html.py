"""The HTML report: complete, loads nothing, and shows hostile titles as text."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from plugin.evaluation.report_html import render_html
from tests.support.made_evaluation import HOSTILE, make_evaluation


class Page(HTMLParser):
    """What a browser would make of the report."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.style = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["style"] and not self.style:
            self.style = data
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def test_it_shows_the_measures_and_both_pages() -> None:
    text = Page(render_html(make_evaluation(0.1, -0.2, 0, 0.3))).text
    assert "1,234 documents, 4 judged queries, bundle bge@1" in text
    assert "Neither order is better than the other beyond chance" in text
    assert text.index("Queries that lost most text 1") < text.index("Queries that gained most text 3")
    assert "2 / 1 / 1" in text
    assert text.count("A title") == 2 * 3 + 3 + 4, (
        "two on each of three pages, in three summaries, in the list"
    )
    assert "Reranked is better" in Page(render_html(make_evaluation(0.1, 0.11, 0.12))).text
    assert "Reranked is worse" in Page(render_html(make_evaluation(-0.1, -0.11, -0.12))).text


def test_hostile_titles_are_text() -> None:
    html = render_html(make_evaluation(0.1, -0.2, title=HOSTILE, name=HOSTILE))
    parsed = Page(html)
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(parsed.tags)
    assert parsed.tags.count("style") == 1
    assert " ".join(HOSTILE.split()) in parsed.text
    assert "49" not in parsed.text


def test_nothing_is_loaded_and_only_its_own_style_applies() -> None:
    html = render_html(make_evaluation(0.1))
    parsed = Page(html)
    names = {name for name, _ in parsed.attributes}
    assert not {"src", "href", "srcset", "style"} & names
    assert not [name for name in names if name.startswith("on")]
    assert not re.search(r"url\(|@import", parsed.style)
    policies = [
        value for name, value in parsed.attributes if name == "content" and "default-src" in str(value)
    ]
    digest = base64.b64encode(hashlib.sha256(parsed.style.encode()).digest()).decode()
    assert policies == [
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    ]


def test_no_query_and_no_hits_are_told() -> None:
    found = make_evaluation(0.0)
    text = Page(render_html(found)).text
    assert text.count("None.") == 2
