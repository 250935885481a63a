"""`twinrank check` on whole and damaged bundles."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from plugin.commands.main import main
from plugin.options.common import LIGHT_BUNDLE
from reranker import manifest as manifests
from reranker.bundle import DEFAULT_BUNDLE
from reranker.bundle_names import list_shipped
from tests.support.paths import TINY_BUNDLE


@pytest.mark.parametrize(
    "bundle", [DEFAULT_BUNDLE, LIGHT_BUNDLE, TINY_BUNDLE], ids=lambda bundle: bundle.name
)
def test_a_bundle_that_computes_what_its_original_computed(bundle: Path) -> None:
    ended = CliRunner().invoke(main, ["check", "--bundle", str(bundle), "--json"])
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.output)["within"] is True


def test_it_says_what_a_bundle_shares() -> None:
    names = sorted([DEFAULT_BUNDLE.name, "bge-small-en-v1.5-fast"])
    ended = CliRunner().invoke(main, ["check", "--bundle", LIGHT_BUNDLE.name, "--json"])
    found = json.loads(ended.output)
    assert (sorted(found["shared_bytes"]), found["version"]) == (names, "1")
    assert found["own_bytes"] < 300_000
    ended = CliRunner().invoke(main, ["check", "--bundle", LIGHT_BUNDLE.name])
    assert f"{LIGHT_BUNDLE.name}@1: every file fits its checksum" in ended.output
    assert all(f"MB shared with {name}" in ended.output for name in names)


def test_the_default_bundle_is_the_one_without_options() -> None:
    ended = CliRunner().invoke(main, ["check"])
    assert ended.exit_code == 0, ended.output
    assert json.loads((DEFAULT_BUNDLE / "manifest.json").read_text())["name"] in ended.output


def test_a_bundle_that_comes_with_twinrank_has_a_name_but_a_folder_here_goes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = CliRunner().invoke(main, ["check", "--bundle", DEFAULT_BUNDLE.name])
    assert named.exit_code == 0, named.output
    shutil.copytree(TINY_BUNDLE, DEFAULT_BUNDLE.name)
    here = CliRunner().invoke(main, ["check", "--bundle", DEFAULT_BUNDLE.name])
    assert here.exit_code == 0, here.output
    assert json.loads((TINY_BUNDLE / "manifest.json").read_text())["name"] in here.output
    assert DEFAULT_BUNDLE.name not in here.output


def test_a_bundle_that_computes_something_else(tmp_path: Path) -> None:
    """The canonical values are changed, with checksum and digest that fit: only the replay can tell."""
    bundle = shutil.copytree(TINY_BUNDLE, tmp_path / "bundle")
    canonical = json.loads((bundle / "canonical.json").read_text())
    canonical["query_vectors"][0][0] += 1.0
    (bundle / "canonical.json").write_text(json.dumps(canonical))
    manifest = json.loads((bundle / "manifest.json").read_text())
    content = (bundle / "canonical.json").read_bytes()
    manifest["checksums"]["canonical.json"] = hashlib.sha256(content).hexdigest()
    manifest["digest"] = manifests.digest(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    ended = CliRunner().invoke(main, ["check", "--bundle", str(bundle)])
    assert ended.exit_code == 1
    assert "within their tolerances" in ended.output


def test_a_bundle_that_is_not_there() -> None:
    ended = CliRunner().invoke(main, ["check", "--bundle", "nowhere"])
    assert ended.exit_code == 2
    words = " ".join(ended.output.split())
    assert "Invalid value for '--bundle': expected a bundle's folder" in words
    assert f"({', '.join(list_shipped())}), found no such folder: nowhere" in words


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["check", "--bundle", str(tmp_path)])
    assert ended.exit_code == 2
    assert "found a folder without manifest.json" in " ".join(ended.output.split())


def test_a_version_may_be_pinned() -> None:
    ended = CliRunner().invoke(main, ["check", "--bundle", f"{LIGHT_BUNDLE.name}@1"])
    assert ended.exit_code == 0, ended.output
    assert f"{LIGHT_BUNDLE.name}@1: every file fits" in ended.output


@pytest.mark.parametrize(
    "command",
    [
        ["check", "--bundle"], ["serve", "--bundle"], ["serve", "--also"], ["migrate", "books", "--to"],
        ["enable", "books", "--field", "text", "--bundle"], ["index", "books", "-", "--bundle"],
        ["sync", "books", "--bundle"], ["status", "books", "--bundle"], ["verify", "books", "--bundle"],
        ["tune", "books", "--bundle"], ["evaluate", "books", "--bundle"],
        ["explain", "books", "x", "--bundle"], ["settings", "books", "--bundle"], ["demo", "--bundle"],
    ],
)  # fmt: skip
def test_a_version_that_is_not_shipped_is_refused_by_every_command(command: list[str]) -> None:
    ended = CliRunner().invoke(main, [*command, f"{DEFAULT_BUNDLE.name}@7"])
    assert ended.exit_code == 2, ended.output
    words = " ".join(ended.output.split())
    assert f"expected version 7 of the bundle {DEFAULT_BUNDLE.name}, found version 1." in words
    assert f"Twinrank comes with {', '.join(list_shipped())}" in words


def test_every_option_for_a_bundle_is_named() -> None:
    for command in (["migrate", "books", "--to", "nowhere"], ["serve", "--also", "nowhere"]):
        ended = CliRunner().invoke(main, command)
        assert (ended.exit_code, f"Invalid value for '{command[-2]}'" in ended.output) == (2, True)
        assert "--bundle" not in ended.output
