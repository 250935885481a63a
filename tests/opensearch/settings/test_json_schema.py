"""The committed JSON Schema is that of the table, and says what the table says."""

import json

from opensearch.settings.json_schema import SCHEMA_FILE, format_schema
from opensearch.settings.table import RerankSettings


def test_the_committed_schema_is_that_of_the_code() -> None:
    assert SCHEMA_FILE.read_text() == format_schema(), "run: python -m opensearch.settings.json_schema"


def test_it_refuses_what_the_code_refuses() -> None:
    """Unknown keys at every level, and every limit."""
    definitions = json.loads(format_schema())["$defs"]
    assert all(part["additionalProperties"] is False for part in definitions.values())
    top = definitions["RerankSettings"]
    assert set(top["properties"]) == set(RerankSettings.__struct_fields__)
    assert top["required"] == ["model", "source_fields"]
    assert (top["properties"]["window_size"]["minimum"], top["properties"]["window_size"]["maximum"]) == (
        1,
        10_000,
    )


def test_every_setting_has_its_sentence() -> None:
    for part in json.loads(format_schema())["$defs"].values():
        for name, setting in part["properties"].items():
            assert "$ref" in str(setting) or setting["description"].endswith("."), name


def test_every_number_with_a_unit_says_it() -> None:
    units = {"_ms": "milliseconds", "_tokens": "tokens", "overlap": "tokens", "coverage": "0 to 1"}
    for part in json.loads(format_schema())["$defs"].values():
        for name, setting in part["properties"].items():
            for ending, unit in units.items():
                assert not name.endswith(ending) or unit in setting["description"], name
