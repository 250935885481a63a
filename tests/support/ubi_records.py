"""How many records of searches were written or lost."""

from tests.support.metrics_text import numbers

_SAMPLE = 'twinrank_ubi_records_total{result="'


def count_records(metrics: str) -> dict[str, int]:
    """Return the records by their result, without results that did not occur; `metrics` is the text form."""
    return {
        name.removeprefix(_SAMPLE).removesuffix('"}'): int(value)
        for name, value in numbers(metrics).items()
        if name.startswith(_SAMPLE) and value
    }
