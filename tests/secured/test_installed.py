"""From a folder with Python alone: pipx or uv installs the wheel, and a secured cluster is reranked."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from plugin.harness.proxy_process import free_port
from tests.secured.conftest import Secured
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.paths import ROOT
from tests.support.wheel import build_wheel

pytestmark = pytest.mark.usefixtures("only_long")

GIVEN_UP_S = 900.0
"""Only so that the test ends. From the installation to the first reranked search should take two minutes at
most, and `-s` shows how long it took: other work on the machine must not fail a test."""

INDEX = "help"
QUERY = "watch films without internet"
FIRST, RIGHT = "two-devices", "offline"
DOCUMENTS = {
    FIRST: "Watch films with the family on two devices at once.",
    RIGHT: "Download films at home to watch them on a plane.",
    "subtitles": "Choose the speech bubble while a film plays.",
}
"""The first two share the same words with the query and are equally long: the one indexed first is first."""

INSTALLERS = {
    "pipx": ("pipx", "install", "--pip-args", f"--constraint {ROOT / 'constraints.txt'}"),
    "uv": ("uv", "tool", "install", "--constraints", str(ROOT / "constraints.txt")),
}


@dataclass(frozen=True)
class Home:
    """A user's account with Python and nothing else: no compiler, no make, no Java."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        """Run a program of this account to its end; return what it printed."""
        ended = subprocess.run(
            command, env=self.environment, cwd=self.folder, check=False, capture_output=True, text=True,
            timeout=600,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(params=INSTALLERS)
def installer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def home(installer: str, tmp_path: Path) -> Home:
    """Return an account in which the installer is there already."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.base_prefix + "/bin/python3")
    tools = tmp_path / "tools"
    subprocess.run([sys.executable, "-m", "venv", tools], check=True)
    subprocess.run([tools / "bin" / "python", "-m", "pip", "install", "--quiet", installer], check=True)
    (programs / installer).symlink_to(tools / "bin" / installer)
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_CERT"))}
    places = {"HOME": str(tmp_path), "PATH": f"{tmp_path / '.local/bin'}{os.pathsep}{programs}"}
    uv = {"UV_FIND_LINKS": found} if (found := os.environ.get("PIP_FIND_LINKS")) else {}
    return Home(tmp_path, uv | kept | places | {"LANG": "C.UTF-8"})


@pytest.fixture
def articles(secured: Secured) -> Iterator[None]:
    """Have documents that came to the cluster before Twinrank did."""
    mapping = {"mappings": {"properties": {"title": {"type": "text"}}}, "settings": {"number_of_replicas": 0}}
    assert secured.straight("admin", "PUT", f"/{INDEX}", mapping).status == 200
    for name, title in DOCUMENTS.items():
        answer = secured.straight("admin", "PUT", f"/{INDEX}/_doc/{name}?refresh=true", {"title": title})
        assert answer.status == 201
    yield
    secured.straight("admin", "DELETE", f"/{INDEX}")


def order(answer: RawAnswer) -> list[str]:
    return [hit["_id"] for hit in json.loads(answer.body)["hits"]["hits"]]


def search(secured: Secured, url: str) -> RawAnswer:
    """Search OpenSearch itself, or through a proxy."""
    body = json.dumps({"query": {"match": {"title": QUERY}}}).encode()
    return ask(url, "POST", f"/{INDEX}/_search", body, secured.headers("admin"))


def first_reranked(secured: Secured, proxy: str, child: subprocess.Popen[bytes], end: float) -> RawAnswer:
    """Search until the proxy is there and reranks."""
    while True:
        assert child.poll() is None, "the proxy ended"
        try:
            answer = search(secured, proxy)
            if answer.headers.get("rerank-status", "").startswith("applied"):
                return answer
        except OSError:
            pass  # not there yet
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.usefixtures("articles")
def test_an_installed_wheel_gives_the_first_better_search(
    home: Home, installer: str, wheel: Path, secured: Secured
) -> None:
    assert shutil.which("cc", path=home.environment["PATH"]) is None
    (home.folder / "password").write_text(secured.password("admin") + "\n")
    account = ("--user", "admin", "--password-file", "password")
    cluster = ("--upstream", secured.url, "--ca", str(secured.server.authority), *account)
    begin = time.monotonic()

    home.run(*INSTALLERS[installer], str(wheel))
    home.run("twinrank", "enable", INDEX, "--field", "title", *cluster)
    home.run("twinrank", "sync", INDEX, *cluster)
    port = free_port()
    serve = ["twinrank", "serve", "--listen", str(port), *cluster]
    child = subprocess.Popen(serve, env=home.environment, cwd=home.folder)
    try:
        answer = first_reranked(secured, f"http://127.0.0.1:{port}", child, begin + GIVEN_UP_S)
        print(f"\n{installer}: the first reranked search after {time.monotonic() - begin:.0f} s")  # noqa: T201
    finally:
        child.terminate()
        child.wait(30)
    assert order(search(secured, secured.url))[0] == FIRST
    assert order(answer)[0] == RIGHT
    assert home.run("twinrank", "--version").strip().endswith(re.findall(r"twinrank-([^-]+)-", wheel.name)[0])
