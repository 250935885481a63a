"""`python -m tests.soak --minutes 30`: memory and descriptors of every worker under mixed traffic."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from plugin.demo.docstrings import read_standard_library
from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from reranker.bundle import Bundle
from tests.benchmarks.local_opensearch import index_docstrings, opensearch_at
from tests.benchmarks.options import upstream_option
from tests.benchmarks.report import RESULTS, machine_line, read_results, written_into
from tests.soak.traffic import CLIENTS, INDEX, Traffic
from tests.soak.trends import FLAT_DESCRIPTORS, FLAT_MB, FLAT_SHARE, Sample, Trend, sampled, trends

MARK, HEADING = "python -m tests.soak", "Soak"


def section(found: Sequence[Trend], counts: dict[str, int], minutes: float, machine: str) -> str:
    """Return the section of docs/reference/results.md."""
    told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    verdict = "flat" if all(trend.is_flat for trend in found) else "NOT FLAT"
    lines = [
        f"`python -m tests.soak --minutes {minutes:g}`: {machine}",
        f"{CLIENTS} clients in a closed loop: {told}.",
        f"Verdict: {verdict} (after the first third, by a line fitted through samples: at most"
        f" {FLAT_MB:.0f} MB or {FLAT_SHARE:.0%} more, and {FLAT_DESCRIPTORS} descriptors).", "",
        "| worker | memory at the end (PSS) | growth after the first third | a day would add"
        " | descriptors, at most, before / after | threads |",
        "|---|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for number, trend in enumerate(found):
        lines.append(
            f"| {number + 1} | {trend.pss_mb:.0f} MB | {trend.growth_mb:+.1f} MB"
            f" | {24 * trend.slope_mb_h:+.0f} MB | {trend.descriptors[0]} / {trend.descriptors[1]}"
            f" | {trend.threads[0]} / {trend.threads[1]} |"
        )
    return "\n".join(lines)


def soak(
    url: str, bundle: Bundle, minutes: float, every_s: float, num_documents: int | None, *, fill: bool = True
) -> Iterator[Sample | dict[str, int]]:
    """Fill the workers' caches, run the traffic; yield each sample, and the counts at the end."""
    corpus = read_standard_library(num_documents)
    with tempfile.TemporaryDirectory(prefix="twinrank-soak-") as temporary:
        folder = Path(temporary)
        index_docstrings(url, INDEX, corpus, bundle)
        with running_proxy(url, folder, bundle=bundle.path) as proxy:
            traffic = Traffic(proxy.url, [document.text for document in corpus])
            if fill:
                traffic.fill(os.cpu_count() or 1, bundle.manifest.dim)
            started_s = time.monotonic()
            traffic.start()
            try:
                while time.monotonic() - started_s < 60 * minutes:
                    time.sleep(every_s)
                    yield from sampled(proxy.child.pid, started_s)
            finally:
                traffic.stop()
            yield traffic.counts


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.05), default=30.0, show_default=True)
@click.option("--every", default=10.0, show_default=True, help="Seconds between two looks.")
@click.option("--documents", type=click.IntRange(min=100), help="Index only so many docstrings.")
@upstream_option
@click.option("--fill/--no-fill", default=True, show_default=True, help="Fill the caches before.")
@click.option("--write", is_flag=True, help="Write the figures into docs/reference/results.md.")
@bundle_option
def main(
    minutes: float,
    every: float,
    documents: int | None,
    upstream: str | None,
    fill: bool,
    write: bool,
    bundle_path: Path,
) -> None:
    """Send mixed traffic for a while and see what the workers hold; exit status 1 where they grow."""
    machine = machine_line(len(read_standard_library(documents)))
    with ExitStack() as running:
        url = running.enter_context(opensearch_at(upstream, "soak"))
        seen = list(soak(url, Bundle.open(bundle_path), minutes, every, documents, fill=fill))
    counts = next(each for each in seen if isinstance(each, dict))
    found = trends([each for each in seen if isinstance(each, Sample)])
    text = section(found, counts, minutes, machine)
    click.echo(text)
    if write:
        RESULTS.write_text(written_into(read_results(), text, MARK, HEADING))
    if not found or not all(trend.is_flat for trend in found):
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
