"""The shell commands of a documentation page, run as they are written."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.http.raw_http import ask
from tests.support.paths import DOCS, ROOT


def command_blocks(page: str) -> dict[str, str]:
    """Return the named blocks of shell commands of a page below `docs/`, in order."""
    text = (DOCS / page).read_text()
    return dict(re.findall(r"<!-- (\w+) -->\n```sh\n(.*?)```", text, re.DOTALL))


def put_twinrank_on_path(folder: Path) -> None:
    """Write a `twinrank` into `folder` that runs the code of this checkout."""
    put_command_on_path(folder, "twinrank", "plugin")


def put_command_on_path(folder: Path, name: str, package: str) -> None:
    """Write a command into `folder` that runs a package of this checkout."""
    command = folder / name
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m {package} "$@"\n')
    command.chmod(0o755)


@dataclass(frozen=True)
class DocsShell:
    """Where the commands of a page run.

    `folder` has a `twinrank`; `replaced` maps a text of the page, such as an address, to that of the test.
    """

    folder: Path
    opensearch: str
    replaced: Mapping[str, str]

    def command(self, block: str) -> str:
        """Return a block with the texts of this test."""
        for text, other in self.replaced.items():
            block = block.replace(text, other)
        return block

    def run(self, block: str) -> str:
        """Run a block and return what it printed.

        Raises:
            AssertionError: a command of the block failed.
        """
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.command(block)],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the commands: `twinrank` on the path, both addresses, a wide terminal."""
        path, proxy = f"{self.folder}:{os.environ['PATH']}", self.command("http://127.0.0.1:9100")
        addresses = {"TWINRANK_UPSTREAM": self.opensearch, "TWINRANK_PROXY": proxy}
        return os.environ | addresses | {"PATH": path, "COLUMNS": "110"}


@contextmanager
def served(shell: DocsShell, block: str) -> Iterator[None]:
    """Run the block that serves, until the end of the context."""
    child = subprocess.Popen(
        shlex.split(shell.command(block)), cwd=shell.folder, env=shell.environment, start_new_session=True
    )
    try:
        wait_until_healthy(shell.command("http://127.0.0.1:9100"))
        yield
    finally:
        child.terminate()
        child.wait(60)


def wait_until_healthy(url: str) -> None:
    deadline_s = time.monotonic() + 90
    while not is_healthy(url):
        assert time.monotonic() < deadline_s, f"expected a proxy at {url}"
        time.sleep(0.1)


def is_healthy(url: str) -> bool:
    try:
        return ask(url, "GET", "/_plugins/_rerank/health").status == 200
    except OSError:
        return False
