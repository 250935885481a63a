"""Metrics in their text form."""

import re

METRICS = "/_plugins/_rerank/metrics"


def numbers(text: str) -> dict[str, float]:
    """Return every sample by its name and labels."""
    found = re.findall(r"^(\w+(?:\{[^}]*\})?) ([0-9.e+]+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}
