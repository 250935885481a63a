"""Outputs of every encoding: no command ends because a character cannot be printed."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from plugin.commands.main import main
from reranker.printable import make_printable
from tests.support.command_tree import EVERY
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import ROOT, TINY_BUNDLE

ENCODINGS = ["latin-1", "ascii", "cp1252", "cp437", "iso8859-7", "koi8-r", "utf-8"]
TEXT = "“quoted” … ↑3 ↓2 → naïve Straße 漢字 Привет \U0001f600 lone \udcff and \ud800 e\u0301"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_text_goes_to_every_output(encoding: str) -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding) as output:
        make_printable(output)
        output.write(TEXT)
        output.flush()
        printed = raw.getvalue().decode(encoding)
    assert "quoted" in printed
    assert "lone ? and ?" in printed


@pytest.mark.parametrize(("text", "printed"), [
    ("“a”", '"a"'),
    ("…", "..."),
    ("↑3", "^3"),
    ("é", "e"),
    ("e\u0301", "e"),
    ("漢", "??"),
    ("Ж", "?"),
    ("ﬁ", "fi"),
    ("x\u00a0y", "x y"),
])  # fmt: skip
def test_what_ascii_lacks_is_replaced_by_what_looks_alike(text: str, printed: str) -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as output:
        make_printable(output)
        output.write(text)
        output.flush()
        assert raw.getvalue().decode() == printed


def test_what_an_encoding_has_stays() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="latin-1") as output:
        make_printable(output)
        output.write("naïve “Straße”")
        output.flush()
        assert raw.getvalue().decode("latin-1") == 'naïve "Straße"'


def twinrank(*arguments: str | bytes, encoding: str = "utf-8", module: str = "plugin") -> tuple[int, str]:
    """Run a command with all output as a pipe of an encoding; return its status and what it printed."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "NO_COLOR": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout.decode("utf-8" if encoding == "ascii" else encoding)


@pytest.mark.live
@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "koi8-r"])
def test_a_search_is_printed_to_every_terminal(
    toy_index: ToyIndex, opensearch_url: str, proxy_url: str, encoding: str
) -> None:
    where = ["--field", "text", "--upstream", opensearch_url, "--proxy", proxy_url]
    status, printed = twinrank(
        "search", toy_index.name, "“Straße” 漢字 → and file", *where, encoding=encoding
    )
    assert (status, "Traceback" in printed) == (0, False)
    assert "Stra" in printed


@pytest.mark.live
@pytest.mark.parametrize("command", [
    ["explain", "{index}", "“Straße” 漢字 → and file", "--bundle", str(TINY_BUNDLE)],
    ["explain", "{index}", '{"query":{"match":{"text":"“漢字” → file"}}}', "--bundle", str(TINY_BUNDLE)],
    ["settings", "“nicht da” → 漢字"],
    ["enable", "“nicht da” → 漢字", "--field", "漢字", "--dry-run", "--bundle", str(TINY_BUNDLE)],
    ["enable", "{index}", "--set", "“漢字”", "--bundle", str(TINY_BUNDLE)],
], ids=lambda command: " ".join(command[:2]).replace("{index}", "toy"))  # fmt: skip
@pytest.mark.parametrize("charset", ["latin-1", "ascii"])
def test_the_other_commands_too(
    toy_index: ToyIndex, opensearch_url: str, command: list[str], charset: str
) -> None:
    filled = [each.replace("{index}", toy_index.name) for each in command]
    done = CliRunner(charset=charset).invoke(main, [*filled, "--upstream", opensearch_url])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert done.output.strip()


@pytest.mark.live
@pytest.mark.parametrize("command", ["search", "explain"])
def test_arguments_that_are_no_text_are_refused_in_words(
    toy_index: ToyIndex, opensearch_url: str, proxy_url: str, command: str
) -> None:
    more = ["--proxy", proxy_url] if command == "search" else ["--bundle", str(TINY_BUNDLE)]
    status, printed = twinrank(command, toy_index.name, b"caf\xe9", "--upstream", opensearch_url, *more)
    assert (status, "Traceback" in printed) == (1, False)
    assert r"found '\udce9', which is no text" in printed


@pytest.mark.parametrize("name", EVERY)
def test_every_help_is_printed_in_ascii(name: str) -> None:
    done = CliRunner(charset="ascii").invoke(main, [*name.split(), "--help"])
    assert (done.exit_code, "Usage" in done.output) == (0, True)


@pytest.mark.export
def test_the_exporter_prints_to_every_terminal(tmp_path: Path) -> None:
    """Its message names a folder that Latin-1 cannot hold."""
    pytest.importorskip("torch", reason="needs torch: the export extra")
    status, printed = twinrank(
        "compare", str(tmp_path / "漢字"), "--base", "minilm", encoding="latin-1", module="model_export"
    )
    assert (status, "Traceback" in printed) == (1, False)
    assert "????" in printed
