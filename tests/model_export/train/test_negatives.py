"""Groups of a relevant document and its negatives."""

import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.data.examples import Examples
from model_export.errors import TrainingError
from model_export.train.negatives import make_groups

pytestmark = pytest.mark.export


def test_a_group_has_its_relevant_document_first_and_no_other_relevant_one() -> None:
    documents = {f"d{i}": f"text {i}" for i in range(9)}
    whole = Examples({"q": "x"}, documents, {"q": {"d1": 1.0, "d2": 0.5, "d3": 0.0}})
    pools = [({"q": dict.fromkeys(["d1", "d4", "d5", "d6"], 1.0)}, 3)]
    made = make_groups(whole, pools, seed=1)
    assert [group.documents[0] for group in made] == ["d1", "d2"]
    for group in made:
        assert group.documents[1] == "d3", "a judged negative comes first"
        assert set(group.documents[2:]) <= {"d4", "d5", "d6"}
        assert group.labels[1:] == (0.0, 0.0, 0.0)
    assert make_groups(whole, pools, seed=1) == made


def test_one_class_only_and_too_few_documents_are_refused() -> None:
    documents = {f"d{i}": "" for i in range(9)}
    with pytest.raises(TrainingError, match="found one class only"):
        make_groups(Examples({"q": "x"}, documents, {"q": {"d1": 0.0}}), [({}, 2)], seed=1)
    with pytest.raises(TrainingError, match="expected more than 9 documents"):
        make_groups(Examples({"q": "x"}, documents, {"q": {"d1": 1.0}}), [({}, 9)], seed=1)
