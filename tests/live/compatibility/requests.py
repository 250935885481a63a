"""The requests whose responses are recorded: every kind of search that a version may rerank or must not."""

from typing import Any, NamedTuple

FIELDS = ["title^2", "body"]
INDEX = "library"


class Request(NamedTuple):
    """A request: a name of its own, method, path with parameters, and body."""

    name: str
    method: str
    target: str
    body: Any


QUESTIONS = (
    "how do I find out why a search was not reranked",
    "what happens if OpenSearch cannot be reached",
    "rotate the password of the service account",
    "memory that each worker process needs",
    "keep old vectors when the model changes",
    "which hits come first without a vector",
    "documents written behind the proxy's back",
    "is my data sent anywhere",
    "byte layout of a stored vector",
    "slow clients",
    "training a small query tower",
    "how many documents a second can be encoded",
    "limit the rate at which vectors are written",
    "several indices in one search",
    "licence of the model weights",
    "who may read the settings of an index",
    "long texts are cut into pieces",
    "undo a change of model",
    "graphs and alerts for operators",
    "does a longer window make results better",
)


def list_requests() -> list[Request]:
    """Return all requests, in the order in which they are sent."""
    return [
        *(_search(f"question-{number}", _multi_match(text)) for number, text in enumerate(QUESTIONS, 1)),
        *_other_queries(),
        *_pages_and_options(),
        *_controls(),
        *_not_reranked(),
        *_other_indices(),
        *_several_at_once(),
    ]


def _search(name: str, query: dict[str, Any] | None, index: str = INDEX, **more: object) -> Request:
    body = {"query": query, "_source": ["title"], **more}
    return Request(name, "POST", f"/{index}/_search", body)


def _page(name: str, query: dict[str, Any], first: int, size: int) -> Request:
    request = _search(name, query)
    return request._replace(body=request.body | {"from": first, "size": size})


def _multi_match(text: str) -> dict[str, Any]:
    return {"multi_match": {"query": text, "fields": FIELDS}}


def _other_queries() -> list[Request]:
    text = "how is a document without a vector treated"
    match = {"match": {"body": text}}
    filtered = {"bool": {"must": match, "filter": {"terms": {"page": ["sync", "ingest", "settings"]}}}}
    return [
        _search("match", match),
        _search("match-tags", {"match": {"about.tags": "vector settings"}}),
        _search("bool-filter", filtered),
        _search("bool-should", {"bool": {"should": [match, {"match": {"title": "sync"}}]}}),
        _search("query-string", {"query_string": {"query": "body:(vector OR model) AND stored"}}),
        _search("simple-query-string", {"simple_query_string": {"query": text, "fields": FIELDS}}),
        _search("phrase", {"match_phrase": {"body": "the query's vector"}}),
        _search("dis-max", {"dis_max": {"queries": [match, {"match": {"title": text}}]}}),
        _search("function-score", {"function_score": {"query": match, "boost": 2}}),
        Request("url", "GET", f"/{INDEX}/_search?q=body:latency&_source=title&size=5", None),
    ]


def _pages_and_options() -> list[Request]:
    query = _multi_match("when does a proxy answer with an error")
    return [
        _page("page-2", query, 10, 10),
        _page("page-at-the-windows-edge", query, 55, 10),
        _page("page-beyond-the-window", query, 65, 5),
        _search("whole-window", query, size=60),
        _search("aggregations", query, size=3, aggs={"pages": {"terms": {"field": "page"}}}),
        _search("highlight", query, size=3, highlight={"fields": {"body": {}}}),
        _search("post-filter", query, post_filter={"term": {"page": "operations"}}),
        _search("track-total-hits", query, track_total_hits=True),
        _search("no-hits", _multi_match("zyzzyva")),
    ]


def _controls() -> list[Request]:
    query = _multi_match("choose between quality and speed")
    controls: dict[str, dict[str, Any]] = {
        "window": {"window_size": 15},
        "weight": {"fusion": {"weight": 20}},
        "feedback": {"fusion": {"feedback": 0, "smoothing": 0}},
        "rrf": {"fusion": {"method": "rrf"}},
        "weighted": {"fusion": {"method": "weighted", "weight": 0.5}},
        "crossing-alone": {"fusion": {"method": "none"}},
        "fused": {"score": "fused"},
        "probability": {"score": "probability"},
        "cluster": {"execution": "cluster"},
        "off": {"enabled": False},
    }
    return [_search(f"ext-{name}", query, ext={"rerank": given}) for name, given in controls.items()]


def _not_reranked() -> list[Request]:
    query = _multi_match("limits of a request")
    return [
        _search("match-all", {"match_all": {}}),
        _search("sort", query, sort=["page", "_doc"]),
        _search("size-0", query, size=0),
        _search("filter-alone", {"bool": {"filter": {"term": {"page": "sync"}}}}),
        _search("cyrillic", _multi_match("настройки вектор model")),
        _search("wrong-control", query, ext={"rerank": {"window_size": 0}}),
    ]


def _other_indices() -> list[Request]:
    query = _multi_match("searches while the model changes")
    return [
        _search("alias", query, index="books"),
        _search("moving", query, index="library-moving"),
        _search("moved", query, index="library-moved"),
        _search("several", query, index="library,library-plain"),
        _search("plain", query, index="library-plain"),
        _search("disabled", query, index="library-disabled"),
        _search("russian", {"match": {"body": "как сварить суп"}}, index="library-russian"),
        _search("russian-latin", {"match": {"body": "OpenSearch"}}, index="library-russian"),
    ]


def _several_at_once() -> list[Request]:
    items: list[dict[str, Any]] = []
    for text in QUESTIONS[:3]:
        items += [{"index": INDEX}, {"query": _multi_match(text), "_source": ["title"], "size": 5}]
    items += [{"index": INDEX}, {"query": {"match_all": {}}, "_source": ["title"], "size": 2}]
    template = {
        "source": {"query": {"match": {"body": "{{text}}"}}, "_source": ["title"]},
        "params": {"text": "users and rights"},
    }
    return [
        Request("msearch", "POST", "/_msearch", items),
        Request("template", "POST", f"/{INDEX}/_search/template", template),
    ]
