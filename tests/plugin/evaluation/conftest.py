"""An index in use that several suites of this folder measure."""

from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from tests.support.indices.toy_shop import ToyShop, make_toy_shop


@pytest.fixture(scope="package")
def shop(client: OpenSearch, opensearch_url: str) -> Iterator[ToyShop]:
    """Yield an index of the toy collection, enabled, with the default bundle's vectors, behind a proxy."""
    yield from make_toy_shop(client, opensearch_url)
