"""The command line itself: help, what is imported for it, completion."""

import os
import subprocess
import sys

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from plugin.commands.main import expected_errors, main
from tests.support.paths import ROOT

HEAVY = {"numpy", "onnxruntime", "opensearchpy", "flask", "gunicorn", "rich", "msgspec", "tokenizers"}


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    context = click.Context(main)
    listed = CliRunner().invoke(main, ["--help"], terminal_width=1000).output
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert f"{name} " in listed
        assert command.get_short_help_str(1000) in listed


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["no-such-command"], []])
def test_help_imports_no_library_but_clicks(arguments: list[str]) -> None:
    """Each costs a tenth of a second of processor time or more."""
    program = (
        "import sys; from plugin.commands.main import main\n"
        f"try: main({arguments!r})\n"
        "finally: print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert HEAVY & set(ended.stderr.splitlines()[-1].split()) == set()


def test_help_takes_less_than_three_tenths_of_a_second_of_processor_time() -> None:
    """The best of three: what else the machine does slows each of them down."""
    assert min(measure_help_s() for _ in range(3)) < 0.3


def measure_help_s() -> float:
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "plugin", "--help"], cwd=ROOT, capture_output=True, timeout=60, check=True
    )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_an_unknown_command_is_told_with_the_one_that_is_like_it() -> None:
    done = CliRunner().invoke(main, ["stauts"])
    assert done.exit_code == 2
    assert "No such command 'stauts'" in done.output
    assert "Did you mean 'status'?" in done.output


def test_the_help_uses_the_terminals_width() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "plugin", "check", "--help"],
        cwd=ROOT, env={**os.environ, "COLUMNS": "110"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert 80 < max(map(len, shown.stdout.splitlines())) <= 110


def test_a_shell_completes_commands_and_options() -> None:
    complete = ShellComplete(main, {}, "twinrank", "_TWINRANK_COMPLETE")
    assert [item.value for item in complete.get_completions([], "se")] == ["search", "serve", "settings"]
    assert [item.value for item in complete.get_completions(["status"], "--ca")] == ["--ca"]


def test_the_shells_ask_for_the_completion_in_the_documented_way() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", "from plugin.commands.main import main; main(prog_name='twinrank')"],
        cwd=ROOT, env={**os.environ, "_TWINRANK_COMPLETE": "zsh_source"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "#compdef twinrank" in asked.stdout
    assert "_TWINRANK_COMPLETE=zsh_source twinrank" in (ROOT / "docs/reference/command-line.md").read_text()


def test_the_errors_that_are_expected_are_no_accident() -> None:
    assert all(issubclass(each, Exception) and each is not Exception for each in expected_errors())
