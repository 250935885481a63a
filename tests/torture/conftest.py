"""Three real nodes, shared by what needs several."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, make_cluster


@pytest.fixture(scope="session")
def cluster(session_folder: Path) -> Iterator[Cluster]:
    """Yield a cluster of three nodes; the torture run kills and starts some of them."""
    made = make_cluster(session_folder / "cluster")
    (session_folder / "cluster").mkdir(mode=0o755)
    try:
        made.start()
        yield made
    finally:
        made.stop()
