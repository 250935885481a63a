"""The table of speeds."""

import pytest

from tests.support.paths import TINY_BUNDLE

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.evaluation.speed import TransformerShape, describe_processor, measure_speed
from reranker.bundle import Bundle

pytestmark = pytest.mark.export

TINY = TINY_BUNDLE


def test_the_speed_table_has_a_row_for_each_way_and_the_slowest_first() -> None:
    shapes = (TransformerShape(2, 64, 2), TransformerShape(1, 64, 2), TransformerShape(1, 64, 2))
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in measure_speed(Bundle.open(TINY), threads=1, rounds=1, shapes=shapes)
    ][2:]
    assert [row[0].split(",")[0] for row in rows[:2]] == ["cross-encoder"] * 2
    assert rows[0][2] == "1.0"
    assert len(rows) == 8
    assert all(float(row[1].replace(",", "")) > 0 for row in rows)
    assert "avx" in describe_processor() or "(" in describe_processor()
