"""`twinrank native` on an OpenSearch without ml-commons: what is shown, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from plugin.commands.main import main
from tests.support.indices.toy_index import ToyIndex

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

TOKEN = "a-token-that-nobody-may-see"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


def native(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["native", *arguments, "--upstream", url])


def decoded(output: str) -> list[Any]:
    """Return the JSON values that stand one after another."""
    decoder, found, rest = json.JSONDecoder(), [], output.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def test_a_dry_run_shows_every_request_but_not_the_token(toy_index: ToyIndex, token_file: Path) -> None:
    where = ("--sidecar", "http://10.0.0.5:9100", "--token-file", str(token_file))
    shown = native(toy_index.url, "install", toy_index.name, *where, "--read-timeout", "2", "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert TOKEN not in shown.output
    steps = decoded(shown.output)
    assert [step["method"] for step in steps] == ["POST"] * 3 + ["PUT"] * 3
    assert [step["body"]["actions"][0]["url"] for step in steps[:3]] == [
        "http://10.0.0.5:9100/v1/rerank", "http://10.0.0.5:9100/v1/embeddings", "http://10.0.0.5:9100/rescore",
    ]  # fmt: skip
    assert steps[2]["body"]["client_config"]["read_timeout"] == 2


@pytest.mark.parametrize("arguments", [("install", "--sidecar", "http://10.0.0.5:9100"), ("uninstall",)])
def test_without_ml_commons_it_says_so(toy_index: ToyIndex, arguments: tuple[str, ...]) -> None:
    refused = native(toy_index.url, arguments[0], toy_index.name, *arguments[1:])
    assert refused.exit_code == 1
    assert "expected the plugins ml-commons and neural-search" in refused.output


@pytest.mark.parametrize("sidecar", ["10.0.0.5:9100", "ftp://10.0.0.5", "http://"])
def test_a_wrong_sidecar_is_refused(toy_index: ToyIndex, sidecar: str) -> None:
    refused = native(toy_index.url, "install", toy_index.name, "--sidecar", sidecar)
    assert refused.exit_code == 1
    assert "--sidecar: expected a URL" in refused.output


def test_an_index_without_settings_is_refused(toy_index: ToyIndex, index_name: str) -> None:
    toy_index.client.indices.create(index=index_name)
    refused = native(toy_index.url, "install", index_name, "--sidecar", "http://10.0.0.5:9100")
    assert refused.exit_code == 1
    assert "expected settings in the mapping under _meta.rerank" in refused.output
