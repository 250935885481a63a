"""`--set NAME=VALUE`."""

import pytest

from opensearch.settings.table import SettingsError
from plugin.commands.enable import apply_assignments


def test_values_are_json_or_plain_words() -> None:
    before = {"enabled": True, "fusion": {"weight": 3}}
    found = apply_assignments(
        before, ["min_coverage=0.9", "fusion.method=none", "on_failure=error", "enabled=false"]
    )
    assert found == {
        "enabled": False,
        "fusion": {"weight": 3, "method": "none"},
        "min_coverage": 0.9,
        "on_failure": "error",
    }
    assert before == {"enabled": True, "fusion": {"weight": 3}}


@pytest.mark.parametrize("assignment", ["", "x", "=3", "enabled.x=1"])
def test_what_assigns_nothing_is_refused(assignment: str) -> None:
    with pytest.raises(SettingsError, match="expected"):
        apply_assignments({"enabled": True}, [assignment])
