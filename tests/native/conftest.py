"""The node with ml-commons, an index in it, the proxy in front, and a wire between the two."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch

from opensearch.local.server import LocalServer
from plugin.commands.main import main
from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from tests.native import assembled
from tests.support.http.relay import Relay
from tests.support.indices.toy_index import ToyIndex, index_body, make_toy_index
from tests.support.java_options import QUICK_START
from tests.support.paths import TINY_BUNDLE

TOKEN = "a-token-of-the-native-suite"
READ_TIMEOUT_S = 2


@dataclass(frozen=True)
class Native:
    """What the suite works with. `crossing_alone` is a copy of `toy` whose fusion is `none`."""

    server: LocalServer
    url: str
    proxy_url: str
    client: OpenSearch
    toy: ToyIndex
    crossing_alone: str
    relay: Relay
    token_file: Path

    def twinrank(self, *arguments: str) -> Result:
        """Run a command of ours against the node."""
        return CliRunner().invoke(main, [*arguments, "--upstream", self.url])

    def install(self, index: str, *arguments: str) -> Result:
        """Run `twinrank native install`."""
        where = ["--sidecar", self.relay.url, "--token-file", str(self.token_file)]
        wait = ["--read-timeout", str(READ_TIMEOUT_S)]
        return self.twinrank("native", "install", index, *where, *wait, *arguments)


@pytest.fixture(scope="session")
def assembled_server(is_long: bool) -> Iterator[tuple[LocalServer, str]]:
    """Yield a running OpenSearch 2.19.1 with ml-commons, and its URL."""
    if not is_long:
        pytest.skip("the whole native suite runs with make test-native and make test-all")
    folder = Path(tempfile.mkdtemp(prefix="twinrank-native-"))
    folder.chmod(0o755)
    server = replace(assembled.assembled_server(folder / "server"), java_options=QUICK_START)
    url = server.start()
    yield server, url
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def native(
    assembled_server: tuple[LocalServer, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Native]:
    """Yield the node with an index, its pipelines installed."""
    server, url = assembled_server
    folder = tmp_path_factory.mktemp("native")
    token_file = folder / "tokens"
    token_file.write_text(TOKEN)
    arguments = ("--token-file", str(token_file))
    with (
        running_proxy(url, folder, bundle=TINY_BUNDLE, arguments=arguments) as proxy,
        OpenSearch(url, timeout=60) as client,
    ):
        toy = make_toy_index(client, url, Bundle.open(TINY_BUNDLE), "toy")
        alone = f"{toy.name}-crossing-alone"
        client.indices.create(index=alone, body=index_body(toy.bundle, fusion={"method": "none"}))
        client.reindex(body={"source": {"index": toy.name}, "dest": {"index": alone}}, refresh=True)
        relay = Relay(proxy.url)
        ready = Native(server, url, proxy.url, client, toy, alone, relay, token_file)
        installed = ready.install(toy.name)
        assert installed.exit_code == 0, installed.output
        yield ready
        relay.cut()
