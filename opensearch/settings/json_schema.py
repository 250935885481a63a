"""Build a JSON Schema of the settings from the table, for editors and for checks before a `PUT _mapping`.

`settings.schema.json` beside it is the committed form: `python -m opensearch.settings.json_schema` writes it.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from opensearch.settings.table import RerankSettings

SCHEMA_FILE = Path(__file__).with_name("settings.schema.json")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def build_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `_meta.rerank`."""
    (schema,), definitions = msgspec.json.schema_components([RerankSettings], ref_template="#/$defs/{name}")
    return {"$schema": DIALECT, "title": "Twinrank: _meta.rerank", **schema, "$defs": definitions}


def format_schema() -> str:
    """Return the schema as the committed file holds it."""
    plain = json.loads(json.dumps(build_schema()), parse_float=parse_number)
    return json.dumps(plain, indent=2) + "\n"


def parse_number(text: str) -> float:
    """Return `40` for `40.0`: which of the two `typing` returns depends on what was imported before."""
    value = float(text)
    return int(value) if value.is_integer() else value


if __name__ == "__main__":
    SCHEMA_FILE.write_text(format_schema())
