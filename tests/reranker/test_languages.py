"""Which texts are in the scripts that a model reads: letter by letter, against other tables of Unicode."""
# ruff: noqa: RUF001  # letters of many scripts are what is tested

import gzip
import json
import sys
import unicodedata

import pytest
from fontTools.unicodedata import script as script_of

from reranker.errors import LanguageError
from reranker.languages import Letters, ReadableScripts, find_scripts
from tests.support.public_data import public_collection

ENGLISH = ReadableScripts(["en"])

LETTERS_OF_ENGLISH_QUERIES = {
    "α-tocopherol", "TNF-α inhibitors", "ΔΔG of binding", "γδ T cells", "β", "10 Ω resistor", "χ² test",
    "10 µm", "10 \N{GREEK SMALL LETTER MU}m", "5 k\N{OHM SIGN}", "100 \N{KELVIN SIGN}", "2 \N{ANGSTROM SIGN}",
    "naïve café", "re\N{COMBINING ACUTE ACCENT}sume\N{COMBINING ACUTE ACCENT}", "Łódź", "Nguyễn", "Øresund",
    "ｆｕｌｌ　ｗｉｄｔｈ", "o\N{LATIN SMALL LIGATURE FFI}ce", "1ª edición 2º", "Henry Ⅷ",
    "\N{MATHEMATICAL BOLD SMALL ALPHA}",
    "𝐦𝐚𝐭𝐡 𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "ⓒⓘⓡⓒⓛⓔⓓ", "№ 5", "℃ to ℉", "㎏", "😀 👩‍🚀 🇯🇵", "١٢٣ १२३ １２３", "“quotes” — … €",
    "ʻokina", "ᵃ₁", "ℵ₀", "x ∈ ℝ", "", " ", "12", "\ud800", "\u0000", "\ue000 icon",
}  # fmt: skip
FOREIGN = {
    "Москва", "iPhone чехол", "сafe with a Cyrillic s", "Київ", "日本", "水", "一", "々", "ｱ", "カメラ",
    "서울", "ㄱ", "שלום", "مرحبا", "नमस्ते", "ไทย", "καλημέρα", "κα\N{COMBINING ACUTE ACCENT}νω", "το νερό",
    "Ελλάδα", "ქართული", "հայ", "አማርኛ",
    "ខ្មែរ", "မြန်မာ", "தமிழ்", "𠀋", "𐌰", "ﷺ", "ﬓ", "Ꭰ", "ᠮ", "ꦲ",
}  # fmt: skip


@pytest.mark.parametrize("text", sorted(LETTERS_OF_ENGLISH_QUERIES), ids=ascii)
def test_what_an_english_query_may_hold(text: str) -> None:
    assert ENGLISH.include(text)


@pytest.mark.parametrize("text", sorted(FOREIGN), ids=ascii)
def test_what_a_model_of_english_does_not_read(text: str) -> None:
    assert not ENGLISH.include(text)
    assert not ENGLISH.include(f"how to wait a bit, naïve {text}")


def test_every_letter_of_unicode_has_the_script_that_another_table_gives_it() -> None:
    """Greek letters are left out: alone they are symbols."""
    wrong = []
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        if unicodedata.category(letter)[0] == "L" and script_of(letter) != "Grek":
            is_readable = script_of(letter) in ("Latn", "Zyyy", "Zinh")
            if ENGLISH.include(letter) != is_readable or ENGLISH.count(letter) != Letters(
                int(is_readable), int(not is_readable)
            ):
                wrong.append(letter)
    assert wrong == []


def test_whatever_is_no_letter_is_left_alone() -> None:
    """Marks, digits, signs, unassigned code points, surrogates and private use."""
    others = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] != "L"]
    unknown = {letter for letter in others if not ENGLISH.include(letter)}
    assert {unicodedata.category(letter) for letter in unknown} <= {"Cn"}, "assigned since this Python"


def test_a_model_of_greek_reads_greek_and_english_is_foreign_to_it() -> None:
    greek = ReadableScripts(["el"])
    assert greek.include("καλημέρα Ω 5")
    assert not greek.include("hello")
    assert ReadableScripts(["el", "en"]).include("καλημέρα hello")


@pytest.mark.parametrize(
    ("tags", "readable", "foreign"),
    [
        (["ja"], "カメラ 日本 ひらがな", "hello"),
        (["ko"], "서울 漢字", "カメラ"),
        (["zh"], "重置密码", "カメラ"),
        (["zh-Hant-TW"], "重置密碼", "hello"),
        (["ru"], "Москва", "hello"),
        (["sr-Latn"], "Beograd", "Београд"),
        (["sr"], "Београд", "Beograd"),
        (["pt-BR"], "São Paulo", "Москва"),
        (["EN-gb"], "colour", "Москва"),
        (["he"], "שלום", "مرحبا"),
    ],
    ids=str,
)
def test_each_language_has_its_scripts(tags: list[str], readable: str, foreign: str) -> None:
    scripts = ReadableScripts(tags)
    assert scripts.include(readable)
    assert not scripts.include(foreign)


@pytest.mark.parametrize("tag", ["xx", "tlh", "sr-Qqqq", "en-Zyyy", ""])
def test_an_unknown_language_is_told_with_what_to_do(tag: str) -> None:
    with pytest.raises(LanguageError, match=r"expected a language tag .* found .*Add the script to the tag"):
        find_scripts(tag)


def test_letters_are_counted() -> None:
    assert ENGLISH.count("iPhone 15 чехол, 3 µm α") == Letters(readable=8, foreign=5)
    assert ENGLISH.count("чехол для iPhone").are_mostly_foreign
    assert not ENGLISH.count("iPhone чехол").are_mostly_foreign
    assert ENGLISH.count("κα\N{COMBINING ACUTE ACCENT}νω") == Letters(0, 4)
    assert not ENGLISH.count("123 !").are_mostly_foreign
    assert not ENGLISH.count("").are_mostly_foreign


ENGLISH_SETS = (
    "homedepot", "nfcorpus", "msmarco_dl21", "wikiqa", "trecqa", "epqa_dev", "nq_dev", "squad2_dev",
    "cranfield", "npl", "cacm",
)  # fmt: skip
NUM_ENGLISH_QUERIES = 22_137
"""None holds a letter outside Latin script but Greek symbols: one query of squad2_dev has `Π1` and `Π2`."""


def test_no_english_query_is_foreign_unless_it_holds_a_foreign_letter() -> None:
    texts = [text for name in ENGLISH_SETS for text in queries_of(name)]
    assert len(texts) >= NUM_ENGLISH_QUERIES
    assert [text for text in texts if not ENGLISH.include(text)] == []


@pytest.mark.parametrize(
    ("name", "least"), [("ru", 1.0), ("uk", 1.0), ("ko", 1.0), ("zh_cn", 1.0), ("ja", 0.99)]
)
def test_queries_in_other_scripts_are_found(name: str, least: float) -> None:
    texts = queries_of(f"debian_{name}")
    assert sum(not ENGLISH.include(text) for text in texts) >= least * len(texts)


def queries_of(name: str) -> list[str]:
    files = sorted(public_collection(name).glob("queries*.jsonl.gz"))
    assert files, name
    return [json.loads(line)["text"] for file in files for line in gzip.open(file, "rt", encoding="utf-8")]
