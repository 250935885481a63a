"""The HTML of the compare page: a template that runs no script and loads nothing."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
"""Nothing of a document can run, load or send anything."""

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Twinrank: compare</title>
<style>
 :root { color-scheme: light dark; --quiet: #5c5c5c; --line: #8885; --box: #f3f4f6; --good: #176639;
  --bad: #a4262c; --wrong: #fdeeee }
 @media (prefers-color-scheme: dark) { :root { --quiet: #a9adb3; --box: #22262b; --good: #6fd394;
  --bad: #ff9a94; --wrong: #3a1e20 } }
 body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em }
 h1 { font-size: 1.4em } h1 span { font-weight: normal }
 table { border-collapse: collapse; width: 100%; table-layout: fixed }
 td, th { text-align: left; vertical-align: top; padding: .4em .6em; border-top: 1px solid var(--line);
  overflow-wrap: anywhere }
 td:first-child, th:first-child { width: 2.5em } td:last-child, th:last-child { width: 4em }
 small, .status { color: var(--quiet) } .up { color: var(--good) } .down { color: var(--bad) }
 .note, .error { background: var(--box); padding: .6em .8em; border-radius: .3em; overflow-wrap: anywhere }
 .error { background: var(--wrong) }
 input { max-width: 100%; box-sizing: border-box }
 @media (max-width: 40em) { body { margin: 1em auto; padding: 0 .5em } td, th { padding: .4em .3em }
  label { display: block; margin-bottom: .5em } label input { display: block; width: 100% }
  td:first-child, th:first-child { width: 1.2em } }
</style>
<h1>Twinrank: compare <span>one search, in OpenSearch's order and reranked</span></h1>
<form><label>Index <input name="index" value="{{ index }}" required></label>
<label>Text <input name="text" value="{{ text }}" size="50" required
 title="Words to look for in the source fields, or a search body as JSON"></label>
<button>Search</button></form>
{% if error %}
<p class="error" role="alert">{{ error }}</p>
{% endif %}
{% for note in notes %}
<p class="note">{{ note }}</p>
{% endfor %}
{% if rows is not none %}
<p class="status">{{ status }}</p>
{% if rows %}
<table><thead>
<tr><th></th><th>OpenSearch alone</th><th>through Twinrank</th><th>moved</th></tr></thead><tbody>
{% for straight, reranked, moved in rows %}
<tr><td>{{ start + loop.index }}</td>
{% for hit in (straight, reranked) %}
<td>{% if hit %}{{ hit.text }}<br><small>{{ hit.id }}</small>{% endif %}</td>
{% endfor %}
<td class="{{ {"↑": "up", "n": "up", "↓": "down"}.get(moved[:1], "") }}">{{ moved }}</td></tr>
{% endfor %}</tbody></table>
{% else %}
<p class="note">No hits: OpenSearch found nothing for this search.</p>
{% endif %}
{% endif %}
</html>
"""
