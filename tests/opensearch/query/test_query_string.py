"""The two query string languages: what is looked for, without what only steers the search."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch.query.query_string import read_plain_words, read_query_string, read_simple_query_string

LUCENE = [
    ("wait a bit", "wait a bit"),
    ("wait AND a OR bit", "wait a bit"),
    ("wait && a || bit", "wait a bit"),
    ('title:(wait AND "a bit"~2^3)', "wait a bit"),
    ("wait NOT long -ever !never", "wait"),
    ("-(ever or never) !(long time) +wait", "wait"),
    ("NOT (a OR (b AND c)) d", "d"),
    ('"wait !a bit, not AND"', "wait !a bit, not AND"),
    ("year:[1990 TO 2000] price:{* TO 10} wait", "wait"),
    ("year:>=1990 wait", "wait"),
    ("/wai[tn]/ wait", "wait"),
    ("roam~ quick~1 fox^2.5", "roam quick fox"),
    ("wai* b?t b*t ?it *it sleep? long*?", "wai it sleep long"),
    ("*red running shoe*", "red running shoe"),
    ("*red* *running* AND **shoe**", "red running shoe"),
    ("*red*running*shoe*", "red running shoe"),
    ("*red*r?nning*", ""),
    ("name:*running* OR (name:*shoe* AND NOT *boot*) -*sock*", "running shoe"),
    ('*"red shoe"*', "red shoe"),
    ('"*red shoe*" "a * b"', "red shoe a   b"),
    (r"*red\ shoe* *9\*9* wait\*", "red shoe 9*9 wait*"),
    ("*red-shoe* *c#* *9.99*", "red-shoe c# 9.99"),
    ("*red*^2 *shoe*~1", "red shoe"),
    ("*ждать* *少し待つ*", "ждать 少し待つ"),
    ("*", ""),
    ("*?* ** * ?", ""),
    ("*:* OR *", ""),
    ("_exists_:title _id:abc wait", "wait"),
    (r"\(1\+1\)\:2 wait\*", "(1+1):2 wait*"),
    ("well-known TO everyone", "well-known TO everyone"),
    ("ждать 少し待つ", "ждать 少し待つ"),
    ("", ""),
    ("  ", ""),
]


@pytest.mark.parametrize(("query", "text"), LUCENE)
def test_query_string(query: str, text: str) -> None:
    assert read_query_string(query) == text


@pytest.mark.parametrize(("query", "text"), [
    ("wait (a bit", "wait a bit"),
    ('wait "a bit', "wait a bit"),
    ("wait AND", "wait"),
    ("wait~1.2.3 bit^.", "wait bit"),
    ("title:wait OR bit)", "bit"),
    ("(wait NOT long -ever - even !never [a TO b] /x/ b?t", "wait"),
    ("(*red running shoe* NOT *boot* -*a*sock* !*b* title:*x* c*d [* TO", "red running shoe"),
    (r"(*red* wait\*", "red"),
])  # fmt: skip
def test_a_syntax_error_leaves_the_words_that_are_sure(query: str, text: str) -> None:
    assert read_query_string(query) == text


@pytest.mark.parametrize("query", [query for query, _ in LUCENE])
def test_the_cautious_reading_finds_no_words_of_its_own(query: str) -> None:
    if '"' not in query:
        assert set(read_plain_words(query).split()) <= set(read_query_string(query).split())


SIMPLE = [
    ("wait a bit", "wait a bit"),
    ('"fried eggs"~2 +(eggplant | potato*) -frittata~1', "fried eggs eggplant potato"),
    ("wait - a bit", "wait a bit"),
    ('-"a b" -(c (d) e) f', "f"),
    ("--wait well-known -x", "wait well-known"),
    (r'\-wait "a \"bit\"" \(now\)', '-wait a "bit" (now)'),
    ("title:wait AND ?", "title:wait AND ?"),
    (') wait ( a "bit', "wait a bit"),
    ("*red running shoe*", "red running shoe"),
    ("*red* **running** +*shoe* -*boot*", "red running shoe"),
    ("*red*shoe*", "red shoe"),
    ('"*red shoe*" *"a bit"*', "red shoe a bit"),
    (r"wait\* *9\*9*", "wait* 9*9"),
    ("* ~2 -", ""),
    ("", ""),
]


@pytest.mark.parametrize(("query", "text"), SIMPLE)
def test_simple_query_string(query: str, text: str) -> None:
    assert read_simple_query_string(query) == text


def test_without_not_a_minus_is_a_sign() -> None:
    assert read_simple_query_string("wait -bit", has_not=False) == "wait -bit"


def test_a_long_query_string_is_read_plainly() -> None:
    assert read_query_string("title:(wait) AND " * 1000 + "end").startswith("wait wait wait")


syntax = st.text(st.sampled_from('ab \\"()[]{}+-!~^:*?/<>=&|.1TONANDR\n') | st.characters(), max_size=60)


@settings(max_examples=500, deadline=2_000)
@given(syntax)
def test_no_text_is_an_error(text: str) -> None:
    for read in (read_query_string, read_simple_query_string, read_plain_words):
        assert isinstance(read(text), str)


def test_many_threads_read_at_once() -> None:
    """Luqum's parser is one for all threads; its lexers are not."""
    queries = [f"title:(word{n} AND {'x ' * (n % 7)}) NOT bad{n}" for n in range(300)]
    one_by_one = [read_query_string(query) for query in queries]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read_query_string, queries)) == one_by_one
