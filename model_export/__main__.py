"""The exporter's command line: `python -m model_export`."""

from pathlib import Path

import click

from model_export.base import load
from model_export.bundle_writer import compare_bundle, export
from model_export.errors import ExportError
from reranker.bundle import Bundle
from reranker.errors import RerankerError


class _Commands(click.Group):
    """Shows this project's errors as one line, without a trace."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except (ExportError, RerankerError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands)
def main() -> None:
    """Turn a trained encoder into a model bundle, and measure it."""


@main.command(name="export")
@click.option("--base", required=True, help="bge-small, minilm, the .jar of bge-small, or a folder")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="the bundle's folder, to be made")
def export_command(base: str, out: Path) -> None:
    """Write a bundle, compare it with its base in torch, and fail without a trace beyond the limits."""
    exported = export(load(base), out)
    click.echo(
        f"{out}: {exported.size_bytes} bytes, float32 graph within {exported.exact_difference:.1e} of torch"
    )
    click.echo(str(exported.comparison))


@main.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--base", required=True, help="what the bundle was made from")
def compare(bundle: Path, base: str) -> None:
    """Compare a bundle with its base in torch, on its canonical texts and further ones."""
    click.echo(str(compare_bundle(Bundle.open(bundle), load(base))))


if __name__ == "__main__":
    main(prog_name="python -m model_export")
