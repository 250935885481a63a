"""What is loaded when it is first asked for: once, in a thread, and dropped when nobody needs it."""

import threading
import time

import pytest

from plugin.encoding.on_demand_loader import MAX_LOADED, OnDemandLoader
from reranker.errors import BundleError
from tests.support.waiting import until


def test_it_is_loaded_once_and_nobody_waits_for_it() -> None:
    goes_on, loads = threading.Event(), list[str]()

    def load(name: str) -> str:
        loads.append(name)
        goes_on.wait(30)
        return name.upper()

    loader = OnDemandLoader(load)
    assert [loader.find("a") for _ in range(5)] == [None] * 5
    goes_on.set()
    until(lambda: loader.find("a") == "A", "that it is loaded")
    assert loads == ["a"]


def test_what_nobody_asks_for_is_dropped_and_loaded_again() -> None:
    loads = list[str]()

    def load(name: str) -> str:
        loads.append(name)
        return name

    loader = OnDemandLoader(load, idle_s=0.2)
    until(lambda: loader.find("idle") == "idle", "that it is loaded")
    for _ in range(10):
        time.sleep(0.01)
        assert loader.find("idle") == "idle"
    until(lambda: not any(each.name == "load-idle" for each in threading.enumerate()), "that it is dropped")
    assert loader.find("idle") is None
    until(lambda: loader.find("idle") == "idle", "that it is loaded again")
    assert loads == ["idle", "idle"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [BundleError("no such bundle"), ArithmeticError("as a test wants it")])
def test_what_cannot_be_loaded_is_tried_again_later(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    loads, name = list[str](), type(error).__name__

    def load(name: str) -> str:
        loads.append(name)
        if len(loads) == 1:
            raise error
        return name

    loader = OnDemandLoader(load, retry_s=0.3)
    assert loader.find(name) is None
    until(lambda: not any(each.name == f"load-{name}" for each in threading.enumerate()), "the first try")
    assert loader.find(name) is None
    until(lambda: loader.find(name) == name, "the second try")
    assert loads == [name, name]
    if isinstance(error, BundleError):
        assert f"{name} cannot be loaded: no such bundle" in caplog.text


def test_only_so_many_are_kept() -> None:
    loader = OnDemandLoader(lambda name: name)
    names = [str(number) for number in range(MAX_LOADED + 1)]
    until(lambda: [loader.find(name) for name in names] == [*names[:-1], None], "all but one")
