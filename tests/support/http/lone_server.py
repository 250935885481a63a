"""`twinrank serve` as a process without an OpenSearch, and confined as in a container."""

import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugin.harness.proxy_process import free_port
from tests.support.http.raw_http import ask
from tests.support.paths import ROOT, TINY_BUNDLE

HEALTH = "/_plugins/_rerank/health"

CONTAINED = """
mount --make-rprivate / && mount -o remount,ro,bind / && mount -t tmpfs tmpfs /tmp && cd /tmp &&
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"
"""
"""As the container has it: nothing can be written but /tmp, and no rights beyond those of a file's owner."""


def contained_program() -> list[str]:
    """Return what starts a program like that; skip the test if this system does not let it."""
    if ROOT.is_relative_to("/tmp"):  # noqa: S108  # no file is made there
        pytest.skip("the checkout lies under /tmp, which is another one in there")
    contained = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", CONTAINED, "contained"]
    tried = subprocess.run([*contained, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this system lets nobody make a mount namespace: {tried.stderr}")
    return contained


@contextmanager
def serving(
    url: str,
    *arguments: str,
    trusting: ssl.SSLContext | None = None,
    prefix: Sequence[str] = (),
    cwd: Path = ROOT,
    env: dict[str, str] | None = None,
) -> Iterator[None]:
    """Run `twinrank serve`, without an OpenSearch, until the block ends; `prefix` is what starts it."""
    command = [
        *prefix,
        sys.executable,
        "-m",
        "plugin",
        "serve",
        "--listen",
        url.rpartition("/")[2],
        *arguments,
    ]
    upstream = ["--upstream", f"http://127.0.0.1:{free_port()}", "--bundle", str(TINY_BUNDLE)]
    child = subprocess.Popen(
        [*command, *upstream], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        for _ in range(600):
            if child.poll() is not None or _answers(url, trusting):
                break
            time.sleep(0.1)
        assert child.poll() is None, child.communicate()[0].decode()
        yield
    finally:
        child.terminate()
        child.communicate(timeout=60)


def _answers(url: str, trusting: ssl.SSLContext | None) -> bool:
    try:
        return ask(url, "GET", HEALTH, trusting=trusting).status == 503  # no OpenSearch is there
    except OSError:
        return False
