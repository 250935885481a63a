"""A cluster of real nodes on this machine, any of which can be killed and started again."""

import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from opensearch.local.config import Setting
from opensearch.local.server import LocalServer
from plugin.commands.local_server import make_local_server
from plugin.harness.proxy_process import free_port
from tests.support.java_options import QUICK_START


@dataclass(frozen=True)
class Cluster:
    """Nodes with ports of their own that stay the same."""

    nodes: tuple[LocalServer, ...]

    @property
    def urls(self) -> list[str]:
        """Each node's address."""
        return [f"http://127.0.0.1:{node.http_port}" for node in self.nodes]

    def start(self) -> None:
        """Start every node that does not run; they wait for each other."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(lambda node: node.start(), self.nodes))

    def stop(self) -> None:
        """Stop every node."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(lambda node: node.stop(), self.nodes))

    def kill(self, position: int) -> None:
        """Kill one node, as a power cut would."""
        child = self.nodes[position]._child
        assert child is not None
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def make_cluster(folder: Path, size: int = 3, heap: str = "256m") -> Cluster:
    """Return a cluster, not started; its nodes' folders lie in `folder`, which every account may enter."""
    ports = _free_ports(2 * size)
    transport = ports[:size]
    names = [f"node-{number}" for number in range(size)]
    common: dict[str, Setting] = {
        "discovery.type": "zen",
        "discovery.seed_hosts": [f"127.0.0.1:{port}" for port in transport],
        "cluster.initial_cluster_manager_nodes": names,
        "cluster.name": "twinrank-test",
    }
    nodes = [
        replace(
            make_local_server(port=http, folder=folder / name, heap=heap),
            transport_port=port,
            java_options=QUICK_START,
            settings={**common, "node.name": name},
            start_timeout_s=300.0,
        )
        for name, port, http in zip(names, transport, ports[size:], strict=True)
    ]
    return Cluster(tuple(nodes))


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, below those that the system gives to outgoing connections.

    A node binds its ports many seconds after they are chosen: others could be taken by then.
    """
    candidates = random.sample(range(21_000, 29_000), 100)
    return [port for port in candidates if free_port(port) == port][:count]
