"""The commands of `twinrank` against one index, each as a process of its own, and lines to give them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT, TINY_BUNDLE


@dataclass(frozen=True)
class Command:
    url: str
    index: str
    bundle: Path = TINY_BUNDLE
    timeout_s: float = 120

    def __call__(self, name: str, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return self.run(name, *arguments, "--bundle", str(self.bundle), data=data)

    def run(self, name: str, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command that takes no bundle."""
        return subprocess.run(
            [sys.executable, "-m", "plugin", name, self.index, *arguments, "--upstream", self.url],
            cwd=ROOT, input=data, capture_output=True, timeout=self.timeout_s, check=False,
        )  # fmt: skip

    def enabled(self) -> "Command":
        done = self("enable", "--field", "title", "--field", "text")
        assert done.returncode == 0, done.stderr
        return self

    def load(self, data: bytes, *arguments: str) -> dict[str, Any]:
        done = self("index", "-", "--json", *arguments, data=data)
        report: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (1 if report["rejected"] or report["stopped"] else 0)
        return report


def lines(*documents: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def numbered(number: int, **more: Any) -> bytes:  # noqa: ANN401
    return lines(*({"_id": str(i), "title": f"title {i}", **more} for i in range(number)))
