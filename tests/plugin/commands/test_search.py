"""`twinrank search`: one search both ways."""

import pytest
from click.testing import CliRunner

from plugin.commands.main import main
from plugin.harness.proxy_process import free_port
from tests.support.toy_index import ToyIndex

pytestmark = pytest.mark.opensearch_2_19


@pytest.mark.live
def test_both_orders_are_shown(toy_index: ToyIndex, proxy_url: str) -> None:
    where = ["--upstream", toy_index.url, "--proxy", proxy_url, "--field", "text", "--size", "3"]
    result = CliRunner().invoke(main, ["search", toy_index.name, toy_index.query_text, *where])
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines() if line.strip()[:1] in ("1", "2", "3")]
    assert [row[1] for row in rows[:3]] == [hit["_id"] for hit in toy_index.first_stage(3)]
    assert "applied; window=100" in " ".join(result.output.split())


@pytest.mark.live
def test_a_proxy_that_is_not_there_is_a_plain_sentence(toy_index: ToyIndex) -> None:
    where = ["--upstream", toy_index.url, "--proxy", f"http://127.0.0.1:{free_port()}"]
    result = CliRunner().invoke(main, ["search", toy_index.name, "text", *where])
    assert result.exit_code == 1
    assert "Is it running?" in result.stderr
