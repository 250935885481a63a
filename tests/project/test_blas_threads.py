"""Every process has one BLAS thread, whatever the machine: two of them spin for each other on a busy one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plugin.harness.proxy_process import running_proxy
from reranker.blas_threads import BLAS_THREADS
from tests.support.http.raw_http import ask
from tests.support.paths import ROOT

BLAS = "[each['num_threads'] for each in threadpool_info() if each['user_api'] == 'blas']"
SIGNAL = signal.SIGRTMIN + 1

TELLS = f"""
import json, os, pathlib, signal

def tell(*_):
    from threadpoolctl import threadpool_info
    pathlib.Path(__file__).with_name(str(os.getpid())).write_text(json.dumps({BLAS}))

signal.signal({int(SIGNAL)}, tell)
"""


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite itself asks for one thread, and what it starts would inherit that."""
    for name in BLAS_THREADS:
        monkeypatch.delenv(name, raising=False)


def blas_threads(module: str) -> list[int]:
    code = (
        f"import {module}, numpy, json; from threadpoolctl import threadpool_info; print(json.dumps({BLAS}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, timeout=120
    )
    found: list[int] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(os.cpu_count() == 1, reason="one processor: there is never a second thread")
def test_numpy_alone_takes_several_threads() -> None:
    """Else the tests below would show nothing."""
    assert max(blas_threads("math")) > 1


@pytest.mark.parametrize("module", ["plugin.commands.main", "tests.benchmarks.run", "tests.load.generator"])
def test_a_process_has_one_blas_thread(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert set(blas_threads(module)) == {1}


@pytest.mark.export
def test_the_exporter_has_one_blas_thread_beside_those_of_torch() -> None:
    pytest.importorskip("torch")
    assert set(blas_threads("model_export.__main__")) == {1}
    code = "import torch; alone = torch.get_num_threads(); print(alone)"
    runs = [
        subprocess.run([sys.executable, "-c", each], cwd=ROOT, capture_output=True, check=True, timeout=120)
        for each in (code, f"import model_export; {code}")
    ]
    assert runs[0].stdout == runs[1].stdout


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor: there is never a second thread")
def test_a_number_that_somebody_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert blas_threads("plugin.commands.main") == blas_threads("math")


def test_a_worker_that_answers_has_one_blas_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy runs as always, but for a handler that its processes have from their start."""
    (tmp_path / "sitecustomize.py").write_text(TELLS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with running_proxy("http://127.0.0.1:1", tmp_path, arguments=["--workers", "1"]) as proxy:
        worker = json.loads(ask(proxy.url, "GET", "/_plugins/_rerank/status").body)["worker"]
        assert worker != proxy.child.pid
        for process in (worker, proxy.child.pid):
            os.kill(process, SIGNAL)
            assert json.loads(awaited(tmp_path / str(process))) == [1]


def awaited(file: Path) -> str:
    ends_s = time.monotonic() + 60
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < ends_s, f"expected {file.name} to tell"
        time.sleep(0.05)
    return file.read_text()


ENCODES = """
import os, onnxruntime
from pathlib import Path
from reranker.bundle import Bundle
from reranker.text import Chunking

tasks = Path("/proc/self/task")
before = len(list(tasks.iterdir()))
bundle = Bundle.open(Path("tests/bundles/tiny"))
query, documents = bundle.load_query_encoder(), bundle.load_document_encoder(threads=1)
query("how to cook rice")
documents(["some text"] * 50, Chunking(max_chunks=1))
print(len(list(tasks.iterdir())) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a process's threads are read from /proc")
def test_encoding_starts_no_thread_that_could_spin() -> None:
    """ONNX Runtime's own pool spins too, and so would the tokeniser's for a batch."""
    done = subprocess.run(
        [sys.executable, "-c", ENCODES], cwd=ROOT, capture_output=True, check=True, timeout=120
    )
    assert int(done.stdout) == 0
