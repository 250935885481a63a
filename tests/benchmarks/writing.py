"""How fast documents are encoded on their way through the proxy, beside the bare encoder on the same texts.

    python -m tests.benchmarks.writing reranker/bundles/bge-small-en-v1.5 --documents 2048

Batch for batch in turn, so that both see the same machine; also in processor time, which others who use the
machine change little. A second pass sends the same documents again.
"""

import base64
import os
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter, thread_time

import click
from opensearchpy import OpenSearch

from plugin.commands.local_server import make_local_server
from plugin.demo.docstrings import read_standard_library
from plugin.encoding.document_encoder import NICENESS
from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from reranker.encoder import DocumentEncoder
from reranker.text import Chunking
from tests.benchmarks.backfill import verdict
from tests.benchmarks.memory import worker_memory
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import bulk, written
from tests.support.processes import children_of

INDEX = "benchmark-writing"
BATCH = 256
WARM_BULKS = 100


@click.command()
@click.argument("bundle_path", type=click.Path(path_type=Path, exists=True))
@click.option("--documents", "count", default=2048, show_default=True)
@click.option("--join", default=1, show_default=True, help="So many docstrings make a document.")
def main(bundle_path: Path, count: int, join: int) -> None:
    """Measure on a local OpenSearch of its own."""
    bundle = Bundle.open(bundle_path)
    docstrings = list(dict.fromkeys(document.text for document in read_standard_library()))
    starts = range(0, len(docstrings), join)
    texts = [" ".join(docstrings[start : start + join]) for start in starts][:count]
    with tempfile.TemporaryDirectory(prefix="twinrank-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        server = make_local_server(port=0, folder=folder / "server")
        url = server.start()
        try:
            with OpenSearch(url) as client, running_proxy(url, folder, bundle=bundle.path) as proxy:
                client.indices.create(index=INDEX, body=index_body(bundle))
                _warm_up_server(client)
                _measure(proxy.url, proxy.child.pid, bundle, texts)
        finally:
            server.stop()


def _measure(url: str, master_pid: int, bundle: Bundle, texts: Sequence[str]) -> None:
    encode = bundle.load_document_encoder(threads=1)
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    bare_s = through_s = bare_cpu_s = through_cpu_s = 0.0
    _warm_up(url)
    for number, batch in enumerate(batches):
        wall_s, cpu_s = _bare(encode, batch)
        before_s = _cpu_s(master_pid)
        spent_s = _sent(url, number, batch, f"encoded={len(batch)};")
        if number == 0:  # both load what they need with the first
            continue
        bare_s, bare_cpu_s = bare_s + wall_s, bare_cpu_s + cpu_s
        through_s += spent_s
        through_cpu_s += _cpu_s(master_pid) - before_s
    measured = len(texts) - BATCH
    again_s = sum(_sent(url, number, batch, "encoded=0;") for number, batch in enumerate(batches) if number)
    length = sum(map(len, texts)) / len(texts)
    click.echo(f"{measured} documents of {length:.0f} characters in bulks of {BATCH}, one client")
    click.echo(
        f"bare encoder      {measured / bare_s:7.1f}/s  {measured / bare_cpu_s:7.1f} a processor second"
    )
    click.echo(
        f"through the proxy {measured / through_s:7.1f}/s  {measured / through_cpu_s:7.1f} a processor second"
    )
    wall, cpu, second = bare_s / through_s, bare_cpu_s / through_cpu_s, through_s / again_s
    click.echo(f"ratio             {wall:7.2f}    {cpu:7.2f}  (aim: 0.90): {verdict(wall >= 0.9)}")
    click.echo(
        f"second pass       {measured / again_s:7.1f}/s, {second:.1f} times as fast (aim: 20): "
        f"{verdict(second >= 20)}"
    )
    for figure in worker_memory(master_pid):
        click.echo(f"{figure.name}: {figure.value:.0f} {figure.unit}")


def _warm_up(url: str) -> None:
    """Let every worker load its document tower: several at once, so that each gets some."""

    def send(thread: int) -> None:
        for number in range(4):
            lines = [{"index": {"_id": f"warm-{thread}"}}, {"text": f"warm up {thread} {number}"}]
            bulk(url, f"/{INDEX}/_bulk", *lines)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))


def _warm_up_server(client: OpenSearch) -> None:
    """Write and read straight at OpenSearch until its virtual machine has compiled what that needs."""
    ids = [f"warm-{number}" for number in range(BATCH)]
    value = base64.b64encode(bytes(400)).decode()
    source = {"text": "warm up", "rerank": {"vector": value}}
    lines = [line for each in ids for line in ({"index": {"_id": each}}, source)]
    wanted = [{"_id": each, "_source": ["rerank.vector"]} for each in ids]
    for _ in range(WARM_BULKS):
        client.bulk(body=lines, index=INDEX)
        client.mget(body={"docs": wanted}, index=INDEX)


def _bare(encode: DocumentEncoder, batch: Sequence[str]) -> tuple[float, float]:
    """Encode at the priority that the proxy's thread has: -> seconds on the wall, of the processor."""
    spent: list[tuple[float, float]] = []

    def run() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        begin_s, begin_cpu_s = perf_counter(), thread_time()
        encode(batch, Chunking())
        spent.append((perf_counter() - begin_s, thread_time() - begin_cpu_s))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return spent[0]


def _sent(url: str, number: int, batch: Sequence[str], expected: str) -> float:
    """Send one bulk: -> seconds."""
    pairs = (({"index": {"_id": f"{number}-{n}"}}, {"text": text}) for n, text in enumerate(batch))
    lines = [line for pair in pairs for line in pair]
    begin_s = perf_counter()
    answer = bulk(url, f"/{INDEX}/_bulk", *lines)
    spent_s = perf_counter() - begin_s
    if answer.status != 200 or (number and expected not in written(answer)):
        raise click.ClickException(f"expected {expected} found {written(answer)}: {answer.body[:300]!r}")
    return spent_s


def _cpu_s(master_pid: int) -> float:
    """Return the processor seconds that the workers have used."""
    ticks = 0
    for pid in children_of(master_pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
