"""Texts without labels: a dictionary's entries, and spans of documents."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.short_texts import short_texts

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.data.texts import SPAN_WORDS, draw_spans

pytestmark = pytest.mark.export


@settings(deadline=None)
@given(documents=st.lists(short_texts), per_document=st.integers(1, 4))
def test_spans_are_pieces_of_the_documents(documents: list[str], per_document: int) -> None:
    found = list(draw_spans(documents, per_document=per_document))
    assert found == list(draw_spans(documents, per_document=per_document))
    assert len(documents) <= len(found) <= per_document * len(documents)
    assert all(len(span.split()) <= SPAN_WORDS[1] for span in found)
    whole = [" ".join(document.split()) for document in documents]
    assert all(any(span in document for document in whole) for span in found)
