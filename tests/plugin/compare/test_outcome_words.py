"""A `Rerank-Status` in a sentence, with what to do about it."""

import re

import click
import pytest

from plugin.commands.main import main
from plugin.compare.outcome_words import describe_status
from plugin.compare.reasons import OTHER_APIS, PASSING, REQUEST, SETUP, find_reason, flatten_links
from plugin.compare.retry import PAUSES_S
from tests.support.paths import ROOT

NAMES = [name for table in (SETUP, REQUEST, OTHER_APIS, PASSING) for each in table for name in each.names]


def test_a_search_that_was_reranked_needs_no_words() -> None:
    assert describe_status("applied; window=100; scored=97") == ""


def test_an_answer_without_the_header_is_of_no_proxy() -> None:
    assert "is this address Twinrank's?" in describe_status("")


@pytest.mark.parametrize("reason", [*NAMES, "a_new_one"])
def test_every_sentence_says_whose_order_it_is(reason: str) -> None:
    words = describe_status(f"skipped; reason={reason}; more=1")
    assert words.startswith("Not reranked: this is OpenSearch's own order. ")
    assert words.endswith((".", ")."))


def test_a_reason_without_words_is_named_with_the_page_that_explains_it() -> None:
    words = describe_status("skipped; reason=scroll")
    assert "The search has `scroll`." in words
    assert "docs/reference/search-parameters.md" in words


def test_no_reason_is_in_two_tables() -> None:
    assert sorted(NAMES) == sorted(set(NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_every_cause_and_remedy_is_a_sentence(name: str) -> None:
    reason = find_reason(name)
    assert name in reason.names
    for text in (reason.why, reason.remedy):
        assert text.endswith((".", ".)")), text
        assert "|" not in text
        assert "\n" not in text


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("See [types](../reference/a.md#b).", "See types (docs/reference/a.md)."),
        ("Do this ([more](x.md)).", "Do this (docs/how-to/x.md)."),
        ("Do that ([below](#here)).", "Do that (docs/how-to/troubleshooting.md)."),
        ("`a[0]` (b)", "`a[0]` (b)"),
    ],
)
def test_a_link_becomes_the_name_of_its_page(markdown: str, plain: str) -> None:
    assert flatten_links(markdown) == plain


@pytest.mark.parametrize("reason", PAUSES_S)
def test_what_passes_with_the_load_is_to_be_tried_again(reason: str) -> None:
    assert "The machine is busy" in describe_status(f"skipped; reason={reason}")
    assert "Search again." in describe_status(f"skipped; reason={reason}")


@pytest.mark.parametrize("reason", NAMES)
def test_commands_and_pages_that_are_named_exist(reason: str) -> None:
    words = describe_status(f"skipped; reason={reason}")
    for name in re.findall(r"twinrank (\w+)", words):
        assert main.get_command(click.Context(main), name) is not None, words
    for page in re.findall(r"docs/[\w./-]+\.md", words):
        assert (ROOT / page).is_file(), words
