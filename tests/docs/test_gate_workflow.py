"""The GitHub workflow of docs/how-to/gate.md: sound, pinned as our own, and it runs the command as it is."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from plugin.commands.gate import gate_command
from tests.support.paths import ROOT

PAGE = ROOT / "docs/how-to/gate.md"
OURS = ROOT / ".github/workflows/ci.yml"


def workflow() -> str:
    [block] = re.findall(r"<!-- workflow -->\n```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def test_zizmor_finds_nothing_in_it(tmp_path: Path) -> None:
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "relevance.yml").write_text(workflow())
    zizmor = Path(sys.executable).parent / "zizmor"
    done = subprocess.run(
        [zizmor, "--offline", "--quiet", "--strict-collection", tmp_path / ".github"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_its_actions_are_pinned_as_ours_are() -> None:
    ours = set(re.findall(r"uses: (.*)", OURS.read_text()))
    used = re.findall(r"uses: (.*)", workflow())
    assert used
    assert set(used) <= ours


def test_it_runs_the_command_with_options_that_exist() -> None:
    steps = yaml.safe_load(workflow())["jobs"]["gate"]["steps"]
    [run] = [step["run"] for step in steps if step.get("run", "").startswith("twinrank")]
    program, command, *arguments = shlex.split(run.replace("$GITHUB_STEP_SUMMARY", "summary.md"))
    assert (program, command) == ("twinrank", "gate")
    parsed = gate_command.make_context("gate", arguments).params
    assert (parsed["index"], parsed["junit"], parsed["summary"]) == (
        "products",
        Path("gate.xml"),
        Path("summary.md"),
    )
