"""Models made here from scratch, serving searches on a real OpenSearch."""

from pathlib import Path

import pytest
from opensearchpy import OpenSearch

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.bundle.compare import Limits
from model_export.bundle.writer import ExportOptions, export
from model_export.model.base import Base
from model_export.model.twin import TowerShape, TwinBert, TwinShape
from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from tests.support.http.raw_http import ids, search
from tests.support.indices.toy_index import WINDOW, make_toy_index

pytestmark = [pytest.mark.export, pytest.mark.live]


@pytest.fixture(scope="module")
def letters_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Tri-letters, weighted pooling, a residual crossing, two towers: nothing that BERT brings."""
    torch.manual_seed(6)
    shape = TowerShape(
        rows=503, layers=1, hidden=32, heads=4, intermediate=64, max_tokens=64, input="tri_letters",
        pooling="weighted", dim=24,
    )  # fmt: skip
    twin = TwinBert.from_shape(TwinShape(shape, shape, "residual", 8)).train(mode=False)
    with torch.no_grad():
        for tower in (twin.query, twin.document):
            tower.bert.embeddings.word_embeddings.weight.mul_(30)
    base = Base(
        name="letters", query=twin.query, document=twin.document, query_prefix="", crossing=twin.crossing,
        tokenizer='{"type": "tri_letters", "buckets": 500}', origin="random weights", licence="Apache-2.0",
        trained_on=(), fusion_weight=1.0,
    )  # fmt: skip
    out = tmp_path_factory.mktemp("bundles") / "letters"
    export(base, out, ExportOptions(limits=Limits(agreement=0.8)))
    return Bundle.open(out)


def test_a_model_of_tri_letters_and_a_residual_crossing_reranks(
    letters_bundle: Bundle, client: OpenSearch, opensearch_url: str, index_name: str, tmp_path: Path
) -> None:
    index = make_toy_index(client, opensearch_url, letters_bundle, index_name)
    with running_proxy(opensearch_url, tmp_path, bundle=letters_bundle.path) as proxy:
        answer = search(proxy.url, index.name, {"query": index.query, "size": WINDOW})
    assert answer.rerank_status.startswith(f"applied; window={WINDOW}; scored={WINDOW}; model=letters")
    expected = index.expected_order()
    assert ids(answer) == expected
    assert expected != [hit["_id"] for hit in index.first_stage(WINDOW)]
