"""`/_plugins/_rerank/compare`: both orders of one search side by side, as its caller sees them."""

import flask
import msgspec

from opensearch.client import path_of
from opensearch.settings import RerankSettings
from opensearch.vectors import value_at
from plugin.both_orders import moves
from plugin.explanation import Asked, answered_search, takes_ext
from plugin.http_messages import Headers
from plugin.search_door import SearchDoor
from plugin.settings_cache import SettingsCache

SHOWN_CHARS = 160
"""Of each hit's text."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
"""Nothing of a document can run, load or send anything."""

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Twinrank: both orders</title>
<style>
 body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em }
 table { border-collapse: collapse; width: 100%; table-layout: fixed }
 td, th { text-align: left; vertical-align: top; padding: .4em .6em; border-top: 1px solid #8885;
  overflow-wrap: anywhere }
 td:first-child, th:first-child { width: 2.5em } td:last-child, th:last-child { width: 4em }
 small, .status { color: #666 }
 input { max-width: 100%; box-sizing: border-box }
 @media (max-width: 40em) { body { margin: 1em auto; padding: 0 .5em } td, th { padding: .4em .3em }
  label { display: block; margin-bottom: .5em } label input { display: block; width: 100% }
  td:first-child, th:first-child { width: 1.2em } }
</style>
<h1>Both orders</h1>
<form><label>Index <input name="index" value="{{ index }}" required></label>
<label>Text <input name="text" value="{{ text }}" size="50" required></label> <button>Search</button></form>
{% if rows is not none %}
<p class="status">{{ status }}</p>
<table><thead>
<tr><th></th><th>OpenSearch alone</th><th>through Twinrank</th><th>moved</th></tr></thead><tbody>
{% for straight, reranked, moved in rows %}
<tr><td>{{ loop.index }}</td><td>{{ straight.text }}<br><small>{{ straight.id }}</small></td>
<td>{{ reranked.text }}<br><small>{{ reranked.id }}</small></td><td>{{ moved }}</td></tr>
{% endfor %}</tbody></table>
{% endif %}
</html>
"""


def compare_page(
    door: SearchDoor, settings: SettingsCache, headers: Headers, index: str, text: str
) -> flask.Response:
    """Return the page: a form alone, until index and text are given.

    Raises:
        AnsweredError: OpenSearch answers with an error.
        UpstreamError: OpenSearch cannot be asked.
        AddressError: no name of an index.
    """
    rows, status = None, ""
    if index and text:
        target = settings.of_indices(path_of(index)[1:], headers)
        search = Asked(index, text=text).search(target)
        fields = target.settings.source_fields if isinstance(target.settings, RerankSettings) else ()
        off = search | {"ext": {"rerank": {"enabled": False}}} if takes_ext(target) else search
        straight, _ = answered_search(door, headers, index, off)
        reranked, status = answered_search(door, headers, index, search)
        sides = [_shown(found["hits"]["hits"], fields) for found in (straight, reranked)]
        moved = moves(*([hit["id"] for hit in side] for side in sides))
        rows = list(zip(*sides, moved, strict=True))
    page = flask.render_template_string(PAGE, index=index, text=text, rows=rows, status=status)
    answer = flask.Response(page, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _shown(hits: list[dict[str, object]], fields: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"id": str(hit["_id"]), "text": _text(hit.get("_source"), fields)} for hit in hits]


def _text(source: object, fields: tuple[str, ...]) -> str:
    """Return the beginning of what a hit says: its source fields, or its whole source."""
    values = [value for field in fields if isinstance(value := value_at(source, field), str)]
    text = " · ".join(values) or msgspec.json.encode(source).decode()
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
