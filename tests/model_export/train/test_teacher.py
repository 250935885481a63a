"""What is no teacher."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import TrainingError
from model_export.train.teacher import CrossEncoder
from tests.bundles.make_tiny import make_tiny

pytestmark = pytest.mark.export


def test_a_folder_without_a_classifier_is_no_teacher(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="expected a sequence classifier"):
        CrossEncoder(tmp_path)
    with pytest.raises(TrainingError, match=r"expected the weights of a classifier|expected a sequence"):
        CrossEncoder(make_tiny(tmp_path / "encoder"))
