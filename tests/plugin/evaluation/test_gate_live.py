"""`twinrank gate` on a real index: it passes as it is, and a planted regression fails it."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch

from plugin.commands.gate import WORSE
from plugin.commands.main import main
from tests.support.indices.toy_collection import QUERIES
from tests.support.indices.toy_shop import ToyShop
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


COPIES = 5
NUMBER = COPIES * len(QUERIES)


class Gate:
    """The command, with the files of the toy collection in a folder."""

    def __init__(self, shop: ToyShop, folder: Path) -> None:
        self._shop = shop
        self.queries, self.judgments = shop.write_csv(folder, COPIES)
        self.baseline, self.junit = folder / "baseline.json", folder / "gate.xml"
        self.summary = folder / "summary.md"

    def __call__(self, *arguments: str) -> Result:
        files = ["--queries", str(self.queries), "--judgments", str(self.judgments)]
        connection = ["--upstream", self._shop.url, "--proxy", self._shop.proxy]
        return CliRunner().invoke(
            main,
            ["gate", self._shop.index, *files, "--baseline", str(self.baseline), *arguments, *connection],
        )

    def compare(self) -> Result:
        return self("--junit", str(self.junit), "--summary", str(self.summary))


@pytest.fixture
def gate(shop: ToyShop, tmp_path: Path) -> Gate:
    """Return the command with a baseline of the index as it is."""
    made = Gate(shop, tmp_path)
    written = made("--update", "--pin", "q0")
    assert written.exit_code == 0, written.output
    assert f"{NUMBER} queries of {shop.index}, 1 pinned" in written.stdout
    return made


def test_an_index_as_it_was_passes(gate: Gate) -> None:
    done = gate.compare()
    assert done.exit_code == 0, done.output
    suite = ET.parse(gate.junit).find("testsuite")  # noqa: S314  # our own
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("4", "0")
    assert ": passed" in gate.summary.read_text().splitlines()[0]
    gate.compare()
    assert gate.summary.read_text().count("## Twinrank gate") == 2, "a summary is appended"


def test_a_planted_regression_fails(gate: Gate, shop: ToyShop, client: OpenSearch) -> None:
    """Somebody sets the crossing's weight to nothing, as a change of the mapping might."""
    mapping = client.indices.get_mapping(index=shop.index)[shop.index]["mappings"]
    meta = mapping["_meta"]
    worse = {**meta["rerank"], "fusion": {"method": "log_linear", "weight": 0, "feedback": 0, "smoothing": 0}}
    client.indices.put_mapping(index=shop.index, body={"_meta": {**meta, "rerank": worse}})
    try:
        until(lambda: gate.compare().exit_code != 0, "the proxy follows the settings", lambda: gate().stdout)
        gate.summary.unlink()
        done = gate.compare()
    finally:
        client.indices.put_mapping(index=shop.index, body={"_meta": meta})
    assert done.exit_code == WORSE, done.output
    assert "FAIL  no worse than the baseline" in done.stdout
    assert "The queries that fell most since the baseline:" in done.stdout
    cases = {case.get("name"): case for case in ET.parse(gate.junit).iter("testcase")}  # noqa: S314
    assert cases["no worse than the baseline"].find("failure") is not None
    assert cases["no worse than OpenSearch alone"].find("failure") is None
    rows = [line for line in gate.summary.read_text().splitlines() if line.startswith("| FAIL |")]
    assert any("no worse than the baseline" in row for row in rows)
    until(lambda: gate.compare().exit_code == 0, "the proxy follows the settings back")


def test_a_baseline_that_does_not_fit_is_an_error(gate: Gate, shop: ToyShop) -> None:
    content = json.loads(gate.baseline.read_text())
    gate.baseline.write_text(json.dumps({**content, "index": "another"}))
    other = gate()
    assert (
        other.exit_code,
        f"expected a baseline of {shop.index}, found one of another" in other.stderr,
    ) == (1, True)
    gate.baseline.write_text("{}")
    assert gate().exit_code == 1
    gate.baseline.unlink()
    missing = gate()
    assert (missing.exit_code, "Write it with --update" in missing.stderr) == (1, True)
    assert gate("--pin", "q0").exit_code == 2


def test_another_bundle_gone_and_new_queries_are_noted(gate: Gate) -> None:
    content = json.loads(gate.baseline.read_text())
    queries = content["queries"]
    queries["gone"] = queries.pop("q5")
    gate.baseline.write_text(json.dumps({**content, "bundles": ["old@1"], "queries": queries}))
    done = gate("--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["passed"], found["queries"]) == (True, NUMBER - 1)
    assert found["notes"][0].startswith("The bundle was old@1 and is ")
    assert found["notes"][1:] == [
        "1 queries of the baseline are gone: gone.",
        "1 queries are new and not compared: q5.",
    ]
