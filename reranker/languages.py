"""Find out whether a text is written in the scripts of the languages that a model reads.

A letter's script is exact: it is Unicode's `Script` property (UAX 24). A language is not: German passes for
English here, since both are in Latin script.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import regex

from reranker.errors import LanguageError

_LANGUAGES_OF_SCRIPT = {
    "Latn": "af ast az bs ca ceb cs cy da de en eo es et eu fi fil fo fr fy ga gd gl ha hr ht hu ia id ig is"
    " it jv kl ku lb lt lv mg mi ms mt nb nl nn no oc pl pt qu ro sk sl sm so sq st su sv sw tl tr uz vi wo"
    " xh yo zu",
    "Cyrl": "ab ba be bg ce cv kk ky mk mn os ru sr tg tt uk",
    "Arab": "ar ckb fa ps sd ug ur",
    "Deva": "hi mr ne sa",
    "Hani": "zh yue",
    "Hani Hira Kana": "ja",
    "Hang Hani": "ko",
    "Armn": "hy", "Beng": "as bn", "Ethi": "am ti", "Geor": "ka", "Grek": "el", "Gujr": "gu", "Guru": "pa",
    "Hebr": "he yi", "Khmr": "km", "Knda": "kn", "Laoo": "lo", "Mlym": "ml", "Mymr": "my", "Orya": "or",
    "Sinh": "si", "Taml": "ta", "Telu": "te", "Thaa": "dv", "Thai": "th", "Tibt": "bo dz",
}  # fmt: skip
"""Scripts (ISO 15924) -> the languages (ISO 639) that are mostly written in them (CLDR's likely subtags)."""

_SCRIPTS_OF = {
    language: frozenset(scripts.split())
    for scripts, languages in _LANGUAGES_OF_SCRIPT.items()
    for language in languages.split()
}

_WRITING_SYSTEMS = {
    "Hans": frozenset({"Hani"}),
    "Hant": frozenset({"Hani"}),
    "Jpan": frozenset({"Hani", "Hira", "Kana"}),
    "Kore": frozenset({"Hang", "Hani"}),
}
"""Script subtags that mean other scripts, or several."""

_SCRIPT_SUBTAG_LETTERS = 4

SYMBOL_LETTERS = 2
"""As many Greek letters in a row are a symbol, not a word: in formulas, units, names of chemicals."""


COUNTED_CHARS = 400
"""How much of a document decides about its scripts."""

READABLE_SHARE = 0.05
"""A text with a smaller share of readable letters has no word that a readable query searches for.

Descriptions of software in Russian or Japanese have a tenth to a quarter: names and commands.
"""

_BEYOND_LATIN = re.compile("[^\x00-\u024f]")
"""Everything before this is Latin or Common: a plain range, 40 times as fast as a script property."""

_MARK = regex.compile(r"\p{M}")


@dataclass(frozen=True)
class Letters:
    """How many letters of a text are in the scripts that a model reads, and how many are not."""

    readable: int
    foreign: int

    @property
    def are_mostly_foreign(self) -> bool:
        """Whether more letters are outside the model's scripts than in them."""
        return self.foreign > self.readable

    @property
    def are_unreadable(self) -> bool:
        """Whether next to no letter is in the model's scripts: a query that the model reads finds none."""
        return self.readable < READABLE_SHARE * (self.readable + self.foreign)


class ReadableScripts:
    """The scripts that a model reads.

    A letter (general category L) is readable if its script is one of these, Common or Inherited. The micro
    sign and mathematical letters are Common. Full-width letters, ligatures, ª, º and the Kelvin sign are
    Latin. Digits, marks, emoji and punctuation are no letters. One or two Greek letters in a row are a
    symbol, and are not counted.

    Raises:
        LanguageError: a language whose scripts are not known.
    """

    def __init__(self, languages: Iterable[str]) -> None:
        self.languages = tuple(languages)
        self.scripts = frozenset(script for tag in self.languages for script in find_scripts(tag))
        self._foreign, self._readable = _compile_patterns(self.scripts)
        self._reads_latin = "Latn" in self.scripts

    def include(self, text: str) -> bool:
        """Whether no letter of the text is outside these scripts."""
        start = 0
        if self._reads_latin:
            beyond = None if text.isascii() else _BEYOND_LATIN.search(text)
            if beyond is None:
                return True
            start = beyond.start()
        return self._foreign.search(text, start) is None

    def count(self, text: str) -> Letters:
        """Count the letters at the beginning of a document's text, `COUNTED_CHARS` long."""
        text = text[:COUNTED_CHARS]
        if self._reads_latin and text.isascii():
            return Letters(sum(map(str.isalpha, text)), 0)
        foreign = sum(len(_MARK.sub("", run)) for run in self._foreign.findall(text))
        return Letters(len(self._readable.findall(text)), foreign)


def find_scripts(tag: str) -> frozenset[str]:
    """Return the scripts (ISO 15924 codes) of a BCP 47 language tag.

    A script subtag counts (`sr-Latn`), else the language's usual script does (`en` -> Latn).

    Raises:
        LanguageError: the language is not in the table, or the script subtag is not one of Unicode's.
    """
    language, *more = tag.split("-")
    subtag = next((part.title() for part in more[:2] if len(part) == _SCRIPT_SUBTAG_LETTERS), None)
    if subtag is not None and subtag.isalpha():
        if subtag in _WRITING_SYSTEMS:
            return _WRITING_SYSTEMS[subtag]
        if _is_script(subtag):
            return frozenset({subtag})
    elif language.lower() in _SCRIPTS_OF:
        return _SCRIPTS_OF[language.lower()]
    raise LanguageError(
        f"expected a language tag whose script is known, found {tag!r}."
        " Add the script to the tag, as in sr-Latn or yi-Hebr"
    )


@lru_cache
def _is_script(code: str) -> bool:
    try:
        regex.compile(rf"\p{{Script={code}}}")
    except regex.error:
        return False
    return code not in ("Zyyy", "Zinh", "Zzzz")


@lru_cache
def _compile_patterns(scripts: frozenset[str]) -> tuple["regex.Pattern[str]", "regex.Pattern[str]"]:
    """Return what finds runs of letters outside these scripts, and what finds one letter inside them."""
    known = "".join(rf"\p{{Script={code}}}" for code in (*sorted(scripts), "Zyyy", "Zinh"))
    if "Grek" in scripts:
        foreign = rf"[\p{{L}}--[{known}]]+"
    else:
        greek = r"[\p{L}&&\p{Script=Grek}]"
        word = rf"{greek}(?:\p{{M}}*{greek}){{{SYMBOL_LETTERS},}}"
        foreign = rf"[\p{{L}}--[{known}\p{{Script=Grek}}]]+|{word}"
    readable = rf"[\p{{L}}&&[{known}]]"
    return regex.compile(foreign, regex.VERSION1), regex.compile(readable, regex.VERSION1)
