"""The HTML report: complete, loads nothing, and shows hostile titles as text."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np

from plugin.compare.comparison import BothOrders
from plugin.evaluation.collection import Collection
from plugin.evaluation.evaluate import Evaluation
from plugin.evaluation.measures import Measures, compare
from plugin.evaluation.query_result import QueryResult
from plugin.evaluation.report_html import render_html
from plugin.upstream.search_client import Answer

HOSTILE = (
    """"><script>alert(1)</script><img src=x onerror='alert(1)'>{{ 7 * 7 }}</style><style>*{display:none}"""
)


def page(*titles: str) -> Answer:
    hits = [{"_index": "i", "_id": f"d{n}", "title": title} for n, title in enumerate(titles)]
    return Answer({"hits": {"hits": hits}}, {}, 0)


def evaluation(*gains: float, title: str = "A title", name: str = "shop") -> Evaluation:
    """Return an evaluation with a query for each gain."""
    before = np.full(len(gains), 0.5)
    after = before + np.array(gains)
    zeros = np.zeros(len(gains))
    first_stage, reranked = (Measures(each, each, zeros, zeros) for each in (before, after))
    texts = {f"q{n}": f"text {n} {title}" for n in range(len(gains))}
    orders = BothOrders("", page(title, "second"), page("second", title))
    results = tuple(
        QueryResult(id_, text, 0.5, 0.5 + gain, orders, {"d0": 0.0})
        for (id_, text), gain in zip(texts.items(), gains, strict=True)
    )
    collection = Collection(name, 1234, ("title",), texts, {id_: {"d0": 0.0} for id_ in texts}, {})
    found = compare(before, after)
    statuses = {"applied": len(gains)}
    return Evaluation(collection, 1, first_stage, reranked, found, found, statuses, results, ("bge@1",))


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
    text = Page(render_html(evaluation(0.1, -0.2, 0, 0.3))).text
    assert "1,234 documents, 4 judged queries, bundle bge@1" in text
    assert "Neither order is better than the other beyond chance" in text
    assert text.index("Queries that lost most text 1") < text.index("Queries that gained most text 3")
    assert "2 / 1 / 1" in text
    assert text.count("A title") == 2 * 3 + 3 + 4, (
        "two on each of three pages, in three summaries, in the list"
    )
    assert "Reranked is better" in Page(render_html(evaluation(0.1, 0.11, 0.12))).text
    assert "Reranked is worse" in Page(render_html(evaluation(-0.1, -0.11, -0.12))).text


def test_hostile_titles_are_text() -> None:
    html = render_html(evaluation(0.1, -0.2, title=HOSTILE, name=HOSTILE))
    parsed = Page(html)
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(parsed.tags)
    assert parsed.tags.count("style") == 1
    assert " ".join(HOSTILE.split()) in parsed.text
    assert "49" not in parsed.text


def test_nothing_is_loaded_and_only_its_own_style_applies() -> None:
    html = render_html(evaluation(0.1))
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
    found = evaluation(0.0)
    text = Page(render_html(found)).text
    assert text.count("None.") == 2
