"""An evaluation with made values, and a title that would break a careless report."""

import numpy as np

from plugin.compare.comparison import BothOrders
from plugin.evaluation.collection import Collection
from plugin.evaluation.evaluate import Evaluation
from plugin.evaluation.measures import Measures, compare
from plugin.evaluation.query_result import QueryResult
from plugin.upstream.search_client import Answer

HOSTILE = (
    """"><script>alert(1)</script><img src=x onerror='alert(1)'>{{ 7 * 7 }}</style><style>*{display:none}"""
)


def _page(*titles: str) -> Answer:
    hits = [{"_index": "i", "_id": f"d{n}", "title": title} for n, title in enumerate(titles)]
    return Answer({"hits": {"hits": hits}}, {}, 0)


def make_evaluation(*gains: float, title: str = "A title", name: str = "shop") -> Evaluation:
    """Return an evaluation with a query for each gain."""
    before = np.full(len(gains), 0.5)
    after = before + np.array(gains)
    zeros = np.zeros(len(gains))
    first_stage, reranked = (Measures(each, each, zeros, zeros) for each in (before, after))
    texts = {f"q{n}": f"text {n} {title}" for n in range(len(gains))}
    orders = BothOrders("", _page(title, "second"), _page("second", title))
    results = tuple(
        QueryResult(id_, text, 0.5, 0.5 + gain, orders, {"d0": 0.0})
        for (id_, text), gain in zip(texts.items(), gains, strict=True)
    )
    collection = Collection(name, 1234, ("title",), texts, {id_: {"d0": 0.0} for id_ in texts}, {})
    found = compare(before, after)
    statuses = {"applied": len(gains)}
    return Evaluation(collection, 1, first_stage, reranked, found, found, statuses, results, ("bge@1",))
