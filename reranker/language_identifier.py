"""Identify the language of a text: py3langid's naive Bayes over byte n-grams (Lui and Baldwin, ACL 2012).

A text of a few words is uncertain, and names and technical words look foreign. So documents decide by their
majority, and a query by a high probability.
"""

import threading
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from reranker.errors import LanguageError
from reranker.languages import find_scripts

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier as Classifier

MIN_DOCUMENT_WORDS = 6
"""A shorter text of a document is not identified."""

DOCUMENT_PROBABILITY = 0.5
"""A document's language is not known if it has less than this probability."""

MIN_QUERY_WORDS = 4
"""Of a shorter query nothing is said."""

FOREIGN_PROBABILITY = 0.98
"""A query with this probability of another language is foreign: 0.28 % of 18,256 English queries are."""

LATIN = "Latn"

_load_lock = threading.Lock()


def identify(text: str) -> str | None:
    """Return the language (ISO 639) of a document's text, None if it is too short or not plain.

    Loads the tables first: half a second, and 75 MB that stay.
    """
    if len(text.split()) < MIN_DOCUMENT_WORDS or not is_available():
        return None
    language, probability = _load_all().classify(text)
    return str(language) if probability >= DOCUMENT_PROBABILITY else None


def find_foreign_probability(text: str, languages: Iterable[str]) -> float:
    """Return how probably a query in Latin script is in none of these languages (BCP 47 tags), 0 to 1.

    A query of fewer than `MIN_QUERY_WORDS` words is in one of them. Loads the tables first, as `identify`.
    """
    if len(text.split()) < MIN_QUERY_WORDS or not is_available():
        return 0.0
    known = {strip_tag(tag) for tag in languages}
    ranked = _load_latin().rank(text)
    return 1.0 - float(np.sum([share for language, share in ranked if language in known]))


@cache
def is_available() -> bool:
    """Whether py3langid is installed.

    An installation that was updated without its packages lacks it. No command or search fails for that: what
    scripts say is enough.
    """
    return find_spec("py3langid") is not None


def release_tables() -> None:
    """Forget the tables, in a process that goes on without them."""
    with _load_lock:
        _load.cache_clear()


def strip_tag(tag: str) -> str:
    """Return the language of a BCP 47 tag: `pt-BR` -> `pt`."""
    return tag.split("-")[0].lower()


def _load_all() -> "Classifier":
    with _load_lock:
        return _load(None)


def _load_latin() -> "Classifier":
    with _load_lock:
        return _load(LATIN)


@cache
def _load(script: str | None) -> "Classifier":
    """Return a classifier between languages whose script is known, or between those of one script."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # slow to import, and rarely needed

    loaded = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    loaded.set_languages([name for name in loaded.labels if _is_of(name, script)])
    return loaded


def _is_of(language: str, script: str | None) -> bool:
    try:
        scripts = find_scripts(language)
    except LanguageError:
        return False
    return script is None or scripts == {script}
