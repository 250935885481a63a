"""Find the words to search for in OpenSearch's two query string languages, without the operators.

`query_string` is Lucene's own language, read by luqum; `simple_query_string` is smaller and has no errors.
"""

import re
from collections.abc import Iterator

from luqum.exceptions import ParseError
from luqum.thread import parse
from luqum.tree import Item, Not, OpenRange, Prohibit, Range, Regex, SearchField, Term

from opensearch.query.wildcard import read_term, replace_stars

MAX_SYNTAX_CHARS = 2_000
"""How much luqum reads in one search: that takes 10 ms, 25 at worst; time grows faster than length."""

MAX_CHARS = 10_000
"""How much of query strings is read in one search: far more than an encoder takes."""

_SAYS_NOTHING = (Not, Prohibit, Range, OpenRange, Regex)
_OPERATORS = frozenset({"AND", "OR", "NOT", "TO", "&&", "||"})
_QUOTED_OR_NOT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|\\.|!', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SIMPLE = re.compile(
    r"""(?P<no>-*+)
    (?: "(?P<phrase>[^"\\]*+(?:\\.[^"\\]*+)*+)"(?:~\d*+)?
    | (?P<open>\()
    | (?P<word>(?:[^\s"()|+\\]|\\.)++)
    )
    | (?P<close>\))
    | -++ | .""",
    re.DOTALL | re.VERBOSE,
)
_SIMPLE_SUFFIX = re.compile(r"(?<!\\)~\d*$")
_STAR_AT_QUOTE = re.compile(r'\*(?=")|(?<=")\*')
_STARRED = re.compile(r"""[^\s()+!:|"-]*+""")
_NEGATION = re.compile(r"\bNOT\s++|!|(?<!\S)-\s++")
_RANGE_OR_SUFFIX = re.compile(r"[\[{][^\[\]{}]*+[\]}]|[~^][\d.]*+")
_SYNTAX = re.compile(r"[:/\\*?\[\]{}<>]")


def read_query_string(text: str) -> str:
    """Return the terms and phrases that a `query_string` searches for, joined by a space.

    Left out are operators, field names, ranges, regular expressions, fuzziness, boosts and negated parts. So
    are metadata fields (`_exists_:title`), and words with a wildcard inside (`*wai* b?t` is `wai`).
    A text that luqum cannot read, or longer than MAX_SYNTAX_CHARS, is read by `read_plain_words`.
    """
    if len(text) > MAX_SYNTAX_CHARS:
        return read_plain_words(text)
    try:
        tree = parse(_spell_for_luqum(text)) if text.strip() else None
    except (ParseError, ValueError, ArithmeticError):  # the last two: numbers behind ~ and ^ such as 1.2.3
        return read_plain_words(text)
    return " ".join(filter(None, _iterate_terms(tree)))


def read_simple_query_string(text: str, *, has_not: bool = True) -> str:
    """Return the words and phrases that a `simple_query_string` searches for, joined by a space.

    Left out are `+ | " ( )`, a `*` around a word, a `~N` at its end, and what a `-` negates: unless `has_not`
    is False, which the query's flags say, and `-` is a sign as any other.
    """
    return " ".join(filter(None, _iterate_simple_words(text[:MAX_CHARS], has_not=has_not)))


def read_plain_words(text: str) -> str:
    """Return the words that a `query_string` surely searches for: cautious, and in linear time."""
    simple = _RANGE_OR_SUFFIX.sub(" ", _NEGATION.sub("-", text[:MAX_CHARS]))
    if "*" in simple:
        simple = _STARRED.sub(lambda found: _drop_patterns(found[0]), simple)
    words = " ".join(_iterate_simple_words(simple, has_not=True)).split()
    return " ".join(word for word in words if word not in _OPERATORS and not _SYNTAX.search(word))


def _drop_patterns(term: str) -> str:
    """Return a term as it is, or its one word without wildcards: nothing if it is another pattern."""
    if "*" not in term:
        return term
    words = read_term(term)
    return "" if "\\" in term or " " in words else words  # a sign in front is the first word's alone


def _spell_for_luqum(text: str) -> str:
    """Spell a text as luqum reads it: NOT for Lucene's `!`, and a blank between a phrase and a `*`."""
    return _spell_not(_STAR_AT_QUOTE.sub(" ", text))


def _spell_not(text: str) -> str:
    """Spell Lucene's `!` as NOT, which luqum knows, but not in quotes."""
    if "!" not in text:
        return text
    return _QUOTED_OR_NOT.sub(lambda found: " NOT " if found[0] == "!" else found[0], text)


def _iterate_terms(tree: Item | None) -> Iterator[str]:
    """Walk without recursion: parentheses may be nested as deep as the text is long."""
    rest = [] if tree is None else [tree]
    while rest:
        item = rest.pop()
        if isinstance(item, _SAYS_NOTHING) or (isinstance(item, SearchField) and item.name.startswith("_")):
            continue
        if isinstance(item, Term):
            yield _read_term(item.value)
        else:
            rest.extend(reversed(item.children))


def _read_term(value: str) -> str:
    if value.startswith('"'):
        return _unescape(replace_stars(value[1:-1])).strip()
    return "" if value in ("&&", "||") else read_term(value)


def _iterate_simple_words(text: str, *, has_not: bool) -> Iterator[str]:
    negated = [False]  # of the whole text, then of each group that is open
    for found in _SIMPLE.finditer(text):
        is_negated = negated[-1] or (has_not and len(found["no"] or "") % 2 == 1)
        if found["open"]:
            negated.append(is_negated)
        elif found["close"] and len(negated) > 1:
            negated.pop()
        elif not is_negated:
            words = replace_stars(found["phrase"] or _SIMPLE_SUFFIX.sub("", found["word"] or ""))
            yield _unescape(words if has_not else f"{found['no'] or ''}{words}").strip()


def _unescape(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
