"""A bundle whose short queries a small tower reads, and whose long ones the whole tower."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.bundle.writer import compare_bundle
from model_export.model.base import load_base
from model_export.model.twin import TwinBert
from model_export.train.model_folder import write_model
from reranker.bundle import Bundle
from reranker.canonical import replay
from reranker.encoder import Encoder
from tests.bundles.make_tiny import make_tiny

pytestmark = pytest.mark.export

BEYOND = 12
SHORT = "read a line of a file"
LONG = "wait for the sum of a list of the lines of all files that were read in the last seconds of the day"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("base"), layers=2)


@pytest.fixture(scope="module")
def small_base(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same documents, and queries by the first layer alone."""
    whole, folder = load_base(str(base)), tmp_path_factory.mktemp("small-base")
    tower = whole.query.with_layers([0])
    twin = TwinBert(tower, whole.document, whole.crossing)
    write_model(folder, twin, replace(whole, name="small", query=tower))
    return folder


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("whole") / "bundle", base)


@pytest.fixture(scope="module")
def joined(small_base: Path, whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("joined") / "bundle"
    return exported(out, small_base, "--name", "joined", "--documents-of", whole, "--whole-beyond", BEYOND)


@pytest.fixture(scope="module")
def small(small_base: Path, whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("small") / "bundle", small_base, "--documents-of", whole)


def export(base: Path, out: Path, *options: object) -> Result:
    arguments = ["export", "--base", base, "--out", out, *options]
    return CliRunner().invoke(main, [str(each) for each in arguments])


def exported(out: Path, base: Path, *options: object) -> Path:
    done = export(base, out, *options)
    assert done.exit_code == 0, done.output
    return out


def test_each_query_has_the_vector_of_the_tower_that_reads_it(joined: Path, small: Path, whole: Path) -> None:
    found, by_small, by_whole = (Bundle.open(each).load_query_encoder() for each in (joined, small, whole))
    np.testing.assert_array_equal(found(SHORT), by_small(SHORT))
    np.testing.assert_array_equal(found(LONG), by_whole(LONG))
    assert not np.allclose(by_small(SHORT), by_whole(SHORT), atol=1e-3)
    assert not np.allclose(by_small(LONG), by_whole(LONG), atol=1e-3)


@pytest.mark.parametrize(("length", "by_whole"), [(BEYOND, False), (BEYOND + 1, True)])
def test_the_whole_tower_begins_after_that_many_tokens(
    length: int, by_whole: bool, joined: Path, whole: Path
) -> None:
    batch = [[2, *range(5, 3 + length), 3]]
    found, wanted = (Encoder(each / "query_encoder.onnx").encode_ids(batch) for each in (joined, whole))
    assert np.array_equal(found, wanted) == by_whole


def test_the_longest_text_of_a_batch_decides(joined: Path, whole: Path) -> None:
    batch = [[2, 9, 3], [2, *range(5, 5 + BEYOND), 3]]
    found, wanted = (Encoder(each / "query_encoder.onnx").encode_ids(batch) for each in (joined, whole))
    np.testing.assert_array_equal(found, wanted)


def test_it_says_so_and_serves_the_same_index(joined: Path, small_base: Path, whole: Path) -> None:
    bundle, other = Bundle.open(joined), Bundle.open(whole)
    assert (bundle.manifest.whole_beyond, other.manifest.whole_beyond) == (BEYOND, None)
    assert (bundle.name, bundle.vectors_of, bundle.model_tag) == ("joined", other.name, other.model_tag)
    assert replay(bundle).within
    assert compare_bundle(bundle, load_base(str(small_base))).query_cosine_min > 0.99


def test_what_the_documents_tower_has_is_not_stored_again(joined: Path, small: Path) -> None:
    sizes = [(folder / "query_weights.bin").stat().st_size for folder in (joined, small)]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"--whole-beyond": 12}, "expected documents_of, whose query tower reads long queries, found none"),
        ({"--whole-beyond": 0, "--documents-of": "whole"}, "those beyond 1 to 63 tokens, found 0"),
        ({"--whole-beyond": 64, "--documents-of": "whole"}, "those beyond 1 to 63 tokens, found 64"),
        (
            {"--whole-beyond": 12, "--documents-of": "whole", "--query-prefix": "a file "},
            "cuts queries after 64 tokens, prefix 'a file ', found 64 and ''",
        ),
    ],
)
def test_a_choice_that_cannot_be_is_refused(
    options: dict[str, object], message: str, small_base: Path, whole: Path, tmp_path: Path
) -> None:
    given = [each if each != "whole" else whole for pair in options.items() for each in pair]
    done = export(small_base, tmp_path / "out", *given)
    assert done.exit_code == 1
    assert message in done.output
    assert not list(tmp_path.iterdir())
