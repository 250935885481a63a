"""Bundles that become models again: of every form that `export` writes, and the shipped ones."""

import hashlib
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import helper, numpy_helper

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.__main__ import main
from model_export.bundle.compare import Limits
from model_export.bundle.manifest import DOCUMENT_FILE, write_manifest
from model_export.bundle.writer import ExportOptions, Precision, compare_bundle, export
from model_export.model.base import Base, load_base
from model_export.model.crossing import ResidualCrossing
from model_export.model.reference import encode_in_torch
from model_export.model.tokens import tokenise
from model_export.model.tower import Tower
from model_export.model.twin import TowerShape
from model_export.train.unpack import WHOLE_FOLDER, read_bases, unpack
from reranker.bundle import BUNDLES, DEFAULT_BUNDLE, Bundle
from reranker.canonical import replay
from reranker.text import Chunking
from tests.bundles.make_tiny import make_tiny
from tests.support.paths import ROOT

pytestmark = pytest.mark.export

FAST, LIGHT = (BUNDLES / f"bge-small-en-v1.5-{name}" for name in ("fast", "light"))
QUERIES = (
    "cheap flights in november",
    "error 403 when pushing to a protected branch",
    "how long can a dog stay at home alone in a day without being sad about it",
)
DOCUMENTS = (
    "The European eel spawns in the Sargasso Sea. Its larvae drift with the Gulf Stream for two years.",
    "USB-C to HDMI 2.0 adapter, 3840 x 2160 at 60 Hz, aluminium, 15 cm cable, black",
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return load_base(str(make_tiny(tmp_path_factory.mktemp("base"))))


def with_prefix(base: Base) -> Base:
    """Constant tokens in the query tower, and words and layers of both towers alike."""
    torch.manual_seed(1)
    states = [0.3 * torch.randn(3, 32) for _ in range(base.query.num_layers)]
    return replace(base, query=base.query.with_prefix(states))


def with_fewer_layers(base: Base) -> Base:
    """Different towers, the query's with a table of rows that are far longer in some columns."""
    tower = base.query.with_layers([0])
    with torch.no_grad():
        tower.bert.embeddings.word_embeddings.weight[:, :3] *= 30
    return replace(base, query=tower)


def with_weighted_pooling(base: Base) -> Base:
    torch.manual_seed(2)
    tower = Tower(base.query.bert, "weighted", dim=16)
    return replace(base, query=tower, document=tower, crossing=ResidualCrossing(16, 8))


def with_short_texts(base: Base) -> Base:
    return replace(base, max_tokens=40, query_prefix="read: ", languages=("en", "de"))


FORMS: dict[str, Callable[[Base], Base]] = {
    "shared": lambda base: base,
    "prefix": with_prefix,
    "layers": with_fewer_layers,
    "weighted": with_weighted_pooling,
    "short": with_short_texts,
}


def exported(base: Base, out: Path, precision: Precision = "int8") -> Bundle:
    limits = Limits(agreement=0.8)  # random towers order texts by little
    export(base, out, ExportOptions(precision=precision, limits=limits))
    return Bundle.open(out)


@pytest.mark.parametrize("form", FORMS)
def test_a_float32_bundle_gives_its_own_weights_back(form: str, tiny: Base, tmp_path: Path) -> None:
    base = FORMS[form](tiny)
    unpack(exported(base, tmp_path / "bundle", "fp32"), tmp_path / "model")
    found = load_base(str(tmp_path / "model"))
    assert found.is_shared == base.is_shared
    for tower, wanted in ((found.query, base.query), (found.document, base.document)):
        check_same_weights(tower, wanted)
    assert found.tokenizer == (tmp_path / "bundle" / "tokenizer.json").read_text()
    apart = {"query", "document", "tokenizer", "crossing"}
    names = Base.__dataclass_fields__.keys() - apart
    assert {name: getattr(found, name) for name in names} == {name: getattr(base, name) for name in names}
    if isinstance(base.crossing, ResidualCrossing):
        for name, tensor in base.crossing.state_dict().items():
            torch.testing.assert_close(found.crossing.state_dict()[name], tensor, rtol=0, atol=0)


def check_same_weights(tower: Tower, wanted: Tower) -> None:
    assert TowerShape.from_tower(tower) == TowerShape.from_tower(wanted)
    for name, tensor in wanted.state_dict().items():
        # The graph has a constant prefix's products, from which its states are computed back.
        tolerance = 1e-4 if name.endswith("self.prefix") else 0
        torch.testing.assert_close(tower.state_dict()[name], tensor, rtol=0, atol=tolerance)


@pytest.mark.parametrize("form", FORMS)
def test_an_integer_bundle_becomes_a_model_that_is_exported_again(
    form: str, tiny: Base, tmp_path: Path
) -> None:
    bundle = exported(FORMS[form](tiny), tmp_path / "bundle")
    done = unpack(bundle, tmp_path / "model")
    assert min(done.query_cosine, done.document_cosine) >= 0.998
    again = exported(load_base(str(tmp_path / "model")), tmp_path / "again")
    assert replay(again).within
    texts = ["read a file", "wait for the line of a list", "x"]
    old, new = (
        np.concatenate(each.load_document_encoder(threads=1)(texts, Chunking())) for each in (bundle, again)
    )
    assert (old * new).sum(axis=1).min() > 0.995


def test_the_tower_of_long_queries_has_a_folder_of_its_own(tiny: Base, tmp_path: Path) -> None:
    whole = exported(with_prefix(tiny), tmp_path / "whole-bundle")
    options = ExportOptions(documents_of=whole, whole_beyond=12)
    small = replace(tiny, name="small", query=with_prefix(tiny).query.with_layers([0]))
    export(small, tmp_path / "joined", options)
    result = run_unpack(tmp_path / "joined", tmp_path / "model")
    assert result.exit_code == 0, result.output
    assert "--whole-beyond 12" in result.output
    first, inner = load_base(str(tmp_path / "model")), load_base(str(tmp_path / "model" / WHOLE_FOLDER))
    assert (first.query.num_layers, inner.query.num_layers) == (1, 2)
    check_same_weights(first.document, inner.document)
    again = tmp_path / "again"
    export(first, again, options)
    assert compare_bundle(Bundle.open(again), first).query_cosine_min > 0.99


@pytest.mark.parametrize("path", [DEFAULT_BUNDLE, FAST, LIGHT], ids=lambda path: path.name)
def test_a_shipped_bundles_towers_are_near_their_graphs(path: Path) -> None:
    bundle = Bundle.open(path)
    bases, beyond = read_bases(bundle), bundle.manifest.whole_beyond or 64
    encode, tokenizer = bundle.load_query_encoder(), bundle.files[bundle.manifest.tokenizer]
    tokens = tokenise(bases[0].query, tokenizer, QUERIES, prefix="", max_tokens=64)
    assert [len(ids) > 14 for ids in tokens] == [False, False, True]
    for text, ids in zip(QUERIES, tokens, strict=True):
        tower = bases[-1 if len(ids) > beyond else 0].query
        assert float(encode(text) @ encode_in_torch(tower, [ids])[0]) >= 0.999
    found = np.concatenate(bundle.load_document_encoder(threads=1)(DOCUMENTS, Chunking()))
    document = bases[0].document
    wanted = encode_in_torch(document, tokenise(document, tokenizer, DOCUMENTS, prefix="", max_tokens=512))
    assert (found * wanted).sum(axis=1).min() >= 0.999
    layers = {DEFAULT_BUNDLE: [12], FAST: [4], LIGHT: [4, 12]}
    assert [base.query.num_layers for base in bases] == layers[path]
    assert {base.query.prefix_tokens for base in bases} == {8}


def test_light_has_the_towers_of_fast_and_of_the_default() -> None:
    small, whole = read_bases(Bundle.open(LIGHT))
    check_same_weights(small.query, read_bases(Bundle.open(FAST))[0].query)
    check_same_weights(whole.query, read_bases(Bundle.open(DEFAULT_BUNDLE))[0].query)


def test_a_shipped_bundle_is_unpacked_and_exported_again(tmp_path: Path, is_long: bool) -> None:
    if not is_long:
        pytest.skip("takes minutes: pytest --long")
    unpack(Bundle.open(FAST), tmp_path / "model")
    base = load_base(str(tmp_path / "model"))
    default = Bundle.open(DEFAULT_BUNDLE)
    options = ExportOptions(documents_of=default, share_with=(default,), max_bytes=60_000_000)
    export(base, tmp_path / "again", options)
    again = Bundle.open(tmp_path / "again")
    assert replay(again).within
    assert again.model_tag == default.model_tag
    old, new = Bundle.open(FAST).load_query_encoder(), again.load_query_encoder()
    assert min(float(old(text) @ new(text)) for text in QUERIES) > 0.995


def run_unpack(bundle: Path, out: Path) -> Result:
    return CliRunner().invoke(main, ["unpack", str(bundle), "--out", str(out)])


def refused(bundle: Path, out: Path, before: set[Path]) -> str:
    """Unpack what cannot be, and return the error; nothing is left beside `before`."""
    result = run_unpack(bundle, out)
    assert result.exit_code == 1
    assert set(out.parent.iterdir()) == before
    return result.output


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = set(tmp_path.iterdir())
    assert "manifest.json" in refused(tmp_path / "empty", tmp_path / "out", before)
    assert "no such folder" in refused(tmp_path / "absent", tmp_path / "out", before)


def test_an_existing_folder_is_left_as_it_is(tiny: Base, tmp_path: Path) -> None:
    bundle = exported(tiny, tmp_path / "bundle")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    message = refused(bundle.path, tmp_path / "out", set(tmp_path.iterdir()))
    assert "expected no folder" in message
    assert (tmp_path / "out" / "mine").read_text() == "mine"


def add_operator(graph: onnx.GraphProto) -> None:
    graph.node.append(helper.make_node("Erf", ["embedding"], ["more"]))


def rename_constant(graph: onnx.GraphProto) -> None:
    next(each for each in graph.initializer if each.name == "positions").name = "places"


def add_constant(graph: onnx.GraphProto) -> None:
    graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "encoder.more"))


def name_other_weights(graph: onnx.GraphProto) -> None:
    tensor = next(each for each in graph.initializer if each.external_data)
    tensor.external_data[0].value = "other.bin"


def cut_weights(graph: onnx.GraphProto) -> None:
    tensor = next(each for each in graph.initializer if each.external_data)
    next(entry for entry in tensor.external_data if entry.key == "length").value = "8"


def drop_layer(graph: onnx.GraphProto) -> None:
    kept = [each for each in graph.initializer if not each.name.startswith("encoder.layer.1.output.dense")]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def change_heads(graph: onnx.GraphProto) -> None:
    node = next(node for node in graph.node if node.op_type == "MultiHeadAttention")
    node.attribute[0].i = 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add_operator, "the operators ['Erf']"),
        (rename_constant, "no constant positions"),
        (add_constant, "the constants ['encoder.more']"),
        (drop_layer, "encoder.layer.1"),
        (name_other_weights, "weights in 'other.bin', which the manifest does not name"),
        (cut_weights, "the constant "),
        (change_heads, "MultiHeadAttention nodes with [2, 4] as num_heads"),
    ],
)
def test_a_graph_of_another_form_is_refused(
    change: Callable[[onnx.GraphProto], None], message: str, tiny: Base, tmp_path: Path
) -> None:
    bundle = exported(tiny, tmp_path / "bundle")
    model = onnx.load(bundle.path / DOCUMENT_FILE, load_external_data=False)
    change(model.graph)
    data = model.SerializeToString()
    said = refused_with(bundle, data, tmp_path)
    assert "as this version of twinrank-export writes it, found" in said
    assert message in said


def test_a_file_that_is_no_graph_is_refused(tiny: Base, tmp_path: Path) -> None:
    bundle = exported(tiny, tmp_path / "bundle")
    assert "expected a graph in" in refused_with(bundle, b"\x08\x0a no graph", tmp_path)


def refused_with(bundle: Bundle, graph: bytes, folder: Path) -> str:
    """Put another document graph into a bundle, with its checksum, and return why it is not unpacked."""
    (bundle.path / DOCUMENT_FILE).write_bytes(graph)
    checksums = bundle.manifest.checksums | {DOCUMENT_FILE: hashlib.sha256(graph).hexdigest()}
    write_manifest(bundle.path, msgspec.structs.replace(bundle.manifest, checksums=checksums))
    return refused(bundle.path, folder / "out", set(folder.iterdir()))


def test_a_full_disk_leaves_nothing(tiny: Base, tmp_path: Path) -> None:
    """The limit on a file's size is the operating system's own: writing fails as on a full disk."""
    bundle = exported(tiny, tmp_path / "bundle")
    command = [
        sys.executable,
        "-m",
        "model_export",
        "unpack",
        str(bundle.path),
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "expected to write the model" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bundle"]
