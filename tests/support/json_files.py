"""JSON files that tests change."""

import json
from pathlib import Path


def change(file: Path, **values: object) -> None:
    """Change members of a JSON file, which may be new."""
    content = json.loads(file.read_text()) if file.exists() else {}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(content | values))
