"""`twinrank experiment`: what its options become, and what is wrong with them."""

from typing import Any

import pytest
from click.testing import CliRunner

from opensearch.settings.table import SettingsError
from plugin.commands.experiment import collect_experiment, experiment_command, parse_arms

NOTHING: dict[str, Any] = {
    "name": None, "mode": None, "arms": (), "control": None, "share": None, "unit_header": None,
}  # fmt: skip


def test_options_are_the_setting() -> None:
    assert collect_experiment(**NOTHING) == {}
    given = {
        "name": "autumn", "mode": "split", "arms": ("control=opensearch", 'b={"fusion": {"weight": 5}}'),
        "control": "control", "share": 0.1, "unit_header": "X-Session",
    }  # fmt: skip
    assert collect_experiment(**NOTHING | given) == {
        "name": "autumn",
        "mode": "split",
        "arms": {"control": "opensearch", "b": {"fusion": {"weight": 5}}},
        "control": "control",
        "share": 0.1,
        "unit": {"header": "X-Session"},
    }


@pytest.mark.parametrize(
    ("arms", "found"),
    [(("control",), "found 'control'"), (("={}",), "found '={}'"), (("a={}", "a={}"), "twice")],
)
def test_an_arm_has_a_name_and_changes(arms: tuple[str, ...], found: str) -> None:
    with pytest.raises(SettingsError, match="--arm: expected") as raised:
        parse_arms(arms)
    assert found in str(raised.value)


@pytest.mark.parametrize("name", ["start", "status", "report", "stop"])
def test_each_part_has_its_help(name: str) -> None:
    found = CliRunner().invoke(experiment_command, [name, "--help"])
    assert found.exit_code == 0
    assert "INDEX" in found.output
