"""What the tests of folders share."""

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch", reason="needs torch: the export extra")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models are slower on several threads, most of all beside other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
