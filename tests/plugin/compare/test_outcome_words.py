"""A `Rerank-Status` in a sentence, with what to do about it."""

import re

import click
import pytest

from plugin.commands.main import main
from plugin.compare.outcome_words import _WORDS, describe_status
from plugin.compare.retry import PAUSES_S
from tests.support.paths import DOCS, ROOT


def test_a_search_that_was_reranked_needs_no_words() -> None:
    assert describe_status("applied; window=100; scored=97") == ""


def test_an_answer_without_the_header_is_of_no_proxy() -> None:
    assert "is this address Twinrank's?" in describe_status("")


@pytest.mark.parametrize("reason", [*_WORDS, "a_new_one"])
def test_every_sentence_says_whose_order_it_is(reason: str) -> None:
    words = describe_status(f"skipped; reason={reason}; more=1")
    assert words.startswith("Not reranked: this is OpenSearch's own order. ")
    assert words.endswith((".", ")."))


def test_a_reason_without_words_is_named_with_the_page_that_explains_it() -> None:
    assert "The reason is `scroll` (docs/how-to/troubleshooting.md explains it)." in describe_status(
        "skipped; reason=scroll"
    )


@pytest.mark.parametrize("reason", PAUSES_S)
def test_what_passes_with_the_load_is_to_be_tried_again(reason: str) -> None:
    assert "The machine is busy" in describe_status(f"skipped; reason={reason}")
    assert "Search again." in describe_status(f"skipped; reason={reason}")


@pytest.mark.parametrize("reason", _WORDS)
def test_commands_and_pages_that_are_named_exist(reason: str) -> None:
    words = describe_status(f"skipped; reason={reason}")
    for name in re.findall(r"twinrank (\w+)", words):
        assert main.get_command(click.Context(main), name) is not None, words
    for page in re.findall(r"docs/[\w./-]+\.md", words):
        assert (ROOT / page).is_file(), words


def test_every_reason_with_words_is_documented() -> None:
    documented = "\n".join(file.read_text() for file in DOCS.rglob("*.md"))
    assert [reason for reason in _WORDS if f"`{reason}`" not in documented] == []
