"""`python -m tests.fuzz`: so many inputs over all targets, and what came of them.

`--coverage SECONDS` lets atheris look for inputs that reach new code instead (the extra `fuzz`).
"""

import hashlib
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from tests.benchmarks.report import RESULTS, read_results, written_into
from tests.fuzz.run import EVERYTHING, Report, fuzz
from tests.fuzz.section import HEADING, MARK, section


@click.command()
@click.option(
    "--inputs", type=click.IntRange(1), default=100_000, show_default=True, help="Over all targets."
)
@click.option("--seed", default=1, show_default=True, help="Another number makes other inputs.")
@click.option("--target", "chosen", type=click.Choice(sorted(EVERYTHING)), help="Only this one.")
@click.option(
    "--coverage", type=click.FloatRange(1), help="Seconds a target: guided by coverage, with atheris."
)
@click.option("--write", is_flag=True, help="Write the figures into docs/reference/results.md.")
@click.option("--findings", type=click.Path(path_type=Path), default=Path("fuzz-findings"), show_default=True)
def main(
    inputs: int, seed: int, chosen: str | None, coverage: float | None, write: bool, findings: Path
) -> None:
    """Fuzz what reads what others wrote; exit status 1 where a promise is broken."""
    targets = [chosen] if chosen else sorted(EVERYTHING)
    if coverage:
        from tests.fuzz.coverage_guided import fuzz_guided

        sys.exit(max(fuzz_guided(target, coverage, findings) for target in targets))
    share = -(-inputs // len(targets))
    console = Console(highlight=False, width=120)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("inputs", total=share * len(targets))
        reports = [
            fuzz(target, share, seed, lambda number: progress.advance(bar, number)) for target in targets
        ]
    text = section(reports, f"python -m tests.fuzz --inputs {inputs} --seed {seed}")
    console.print(text)
    if write:
        RESULTS.write_text(written_into(read_results(), text, MARK, HEADING))
    for report in reports:
        _keep(report, findings)
    if any(report.findings for report in reports):
        sys.exit(1)


def _keep(report: Report, folder: Path) -> None:
    """Keep the inputs that broke a promise as files."""
    for data, error in report.findings:
        file = folder / report.target / hashlib.sha256(data).hexdigest()[:16]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        click.echo(f"{report.target}: {error}\n  {file}: {data[:200]!r}", err=True)


if __name__ == "__main__":
    main()
