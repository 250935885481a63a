"""The checks of `.ci`: a planted secret is found, and an audit that cannot be done is told."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

BIN = Path(sys.executable).parent

# Put together here, so that this file holds none.
AWS_KEY = "AKIA" + "QYLPMN5HHHFPZAM2"
PLANTED = {
    "plugin/settings.py": f'KEY = "{AWS_KEY}"\n',
    "tests/test_x.py": f'KEY = "{AWS_KEY}"\n',
    "docs/x.md": "pass" + 'word = "Xk7-Quittengelee-im-Gewitter-29"\n',
    "plugin/key.txt": "-----BEGIN RSA PRIVATE" + " KEY-----\n",
    "opensearch/x.json": '{"pass' + 'word": "Xk7-Quittengelee-29"}\n',
}


def checked(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".ci" / name, *arguments], capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "BIN": str(BIN), **environment},
    )  # fmt: skip


def test_planted_secrets_are_found(tmp_path: Path) -> None:
    for clean in ("plugin/clean.py", "tests/test_clean.py"):
        (tmp_path / clean).parent.mkdir(exist_ok=True)
        (tmp_path / clean).write_text('USER = "somebody"\n')
    for git in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *git], cwd=tmp_path, check=True, capture_output=True)
    assert checked("secrets", str(tmp_path)).returncode == 0
    for name, content in PLANTED.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True, capture_output=True)
    found = checked("secrets", str(tmp_path))
    assert found.returncode != 0
    assert [name for name in PLANTED if name not in found.stdout] == []


def test_an_audit_without_a_network_passes_and_says_so(tmp_path: Path) -> None:
    pinned = tmp_path / "constraints.txt"
    pinned.write_text("flask==3.1.3\n")
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    told = checked("audit", str(pinned), **nowhere, NO_PROXY="", no_proxy="", HOME=str(tmp_path))
    assert told.returncode == 0
    assert "NOT audited" in told.stderr


def test_an_audit_of_what_cannot_be_read_fails(tmp_path: Path) -> None:
    pinned = tmp_path / "constraints.txt"
    pinned.write_text("flask==3.1.3 ==\n")
    assert checked("audit", str(pinned)).returncode != 0
