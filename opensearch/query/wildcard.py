"""Find the words in a pattern: the typed text, without the wildcards that an application put around it.

Many applications send what a user types as `*words*`, so that parts of words match too. Such a `*` is
decoration, and the words are the text of the query. A pattern such as `b?t` or `b*t` is not words.
"""

import re

_WORD = r"(?:[^\\*?]|\\.)++"
_DECORATED = re.compile(rf"\**+({_WORD})[*?]*+", re.DOTALL)
_WRAPPED_TERM = re.compile(rf"\*++({_WORD}(?:\*++{_WORD})*+)[*?]++", re.DOTALL)
_WRAPPED = re.compile(rf"\*++({_WORD}(?:\*++{_WORD})*+)\*++", re.DOTALL)
_WORDS = re.compile(_WORD, re.DOTALL)

_PLAIN = r"""(?:[^.?+*|{}\[\]()"\\#@&<>~^$]|\\\W)++"""
_WRAPPED_REGEXP = re.compile(rf"(?:\.\*)++({_PLAIN}(?:(?:\.\*)++{_PLAIN})*+)(?:\.\*)++", re.DOTALL)
_PLAINS = re.compile(_PLAIN, re.DOTALL)

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_STAR_OR_ESCAPED = re.compile(r"(\\.)|\*++", re.DOTALL)
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def read_term(term: str) -> str:
    r"""Return the words of one term of a `query_string`, nothing if it is another pattern.

    `*wait`, `wait*` and `wait?` are `wait`, and `*wait*bit*` is `wait bit`; `?ait` and `w*t` are nothing. An
    escaped wildcard is a character of the word: `wait\*` is `wait*`.
    """
    return _find_words(_DECORATED.fullmatch(term) or _WRAPPED_TERM.fullmatch(term), _WORDS)


def read_wildcard(pattern: str) -> str:
    """Return the words of a `wildcard` query of the form `*words*`, nothing if it is another pattern."""
    return _keep_if_letters(_find_words(_WRAPPED.fullmatch(pattern), _WORDS))


def read_regexp(pattern: str) -> str:
    """Return the words of a `regexp` query of the form `.*words.*`, nothing if it is another pattern."""
    return _keep_if_letters(_find_words(_WRAPPED_REGEXP.fullmatch(pattern), _PLAINS))


def replace_stars(text: str) -> str:
    r"""Return a text with a blank for every `*` but an escaped one, `\*`: analyzers read it as one."""
    return _STAR_OR_ESCAPED.sub(lambda found: found[1] or " ", text)


def _find_words(found: re.Match[str] | None, words: re.Pattern[str]) -> str:
    return "" if found is None else " ".join(_ESCAPED.sub(r"\1", word) for word in words.findall(found[1]))


def _keep_if_letters(words: str) -> str:
    """Return the words of a pattern of an exact value if there are any: `*.*` and `*/*` have none."""
    return " ".join(words.split()) if _LETTER_OR_DIGIT.search(words) else ""
