"""Each option of each command has one variable, and what is nearly one is told."""

import re
from collections import defaultdict

import click
import pytest
from click.testing import CliRunner, Result

from plugin.commands.main import main
from plugin.options.profile_entries import SHARED, option_key
from tests.support.command_tree import EVERY

KUBERNETES = re.compile("TWINRANK(_.*)?(_SERVICE_HOST|_SERVICE_PORT.*|_PORT|_PORT_[0-9]+_.*)")
"""Variables of every pod beside a service named twinrank, unless that is switched off."""


def public_options(command: click.Command) -> list[click.Option]:
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    return [option for option in options if option.name != "show_options"]


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env=environment)


@pytest.mark.parametrize("name", EVERY)
def test_every_option_has_a_variable_that_the_help_shows(name: str) -> None:
    text = re.sub(r"\s+", " ", run(*name.split(), "--help").output)
    for option in public_options(EVERY[name]):
        assert re.fullmatch("TWINRANK_[A-Z_]+", str(option.envvar))
        assert f"env var: {option.envvar}" in text


def test_no_two_options_have_the_same_variable_unless_they_share_it() -> None:
    holders = defaultdict(set)
    for name, command in EVERY.items():
        for option in public_options(command):
            holders[str(option.envvar)].add((name, option_key(option)))
    for variable, found in holders.items():
        keys = {key for _, key in found}
        assert len(keys) == 1, variable
        assert len(found) == 1 or keys <= SHARED | {"profile"}, variable
        assert not KUBERNETES.fullmatch(variable) or variable == "TWINRANK_OPENSEARCH_START_PORT"


def test_shared_options_are_those_that_several_commands_have() -> None:
    keys = {option_key(option) for command in EVERY.values() for option in public_options(command)}
    assert keys >= SHARED


@pytest.mark.parametrize(("variable", "meant"), [
    ("TWINRANK_LISTN", "TWINRANK_LISTEN"),
    ("TWINRANK_SERVE_LISTEN", "TWINRANK_LISTEN"),
    ("TWINRANK_UPSTREM", "TWINRANK_UPSTREAM"),
])  # fmt: skip
def test_a_variable_that_is_nearly_one_is_told(variable: str, meant: str) -> None:
    done = run("serve", "--show-options", **{variable: "1"})
    assert done.exit_code == 0
    assert f"Warning: {variable} is not read. Did you mean {meant}?" in done.stderr


def test_a_variable_without_the_commands_name_is_told() -> None:
    assert (
        "Did you mean TWINRANK_SYNC_THREADS?"
        in run("sync", "a", "--show-options", TWINRANK_THREADS="1").stderr
    )


def test_variables_of_other_commands_and_of_kubernetes_are_no_mistakes() -> None:
    others = {str(option.envvar): "" for command in EVERY.values() for option in public_options(command)}
    others |= {
        "TWINRANK_SERVICE_HOST": "10.0.0.1",
        "TWINRANK_PORT_9100_TCP_ADDR": "10.0.0.1",
        "TWINRANK_PORT": "x",
    }
    del others["TWINRANK_PROFILE"]
    for name in EVERY.keys() - {"opensearch start"}:  # its own --port
        assert "Warning" not in run(*name.split(), "a", "b", "--show-options", **others).stderr


def test_a_bad_value_names_its_variable() -> None:
    done = run("serve", "--show-options", TWINRANK_WORKERS="many")
    assert done.exit_code == 2
    assert "'many' is not a valid integer range. (TWINRANK_WORKERS)" in done.output
