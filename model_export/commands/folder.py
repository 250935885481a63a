"""`twinrank-export bundle`: from a model folder as it was downloaded to a bundle.

A command imports what it needs when it runs, so that its help works without torch.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from model_export.commands.options import FOLDER, NEW_FOLDER

if TYPE_CHECKING:
    from model_export.bundle.writer import ExportResult, Precision
    from model_export.folders.reader import ModelFolder


@click.command("bundle")
@click.argument("folder", type=FOLDER)
@click.option("--out", required=True, type=NEW_FOLDER, help="the bundle's folder, which must not exist")
@click.option("--name", help="the bundle's name  [default: the folder's]")
@click.option(
    "--pooling",
    type=click.Choice(["cls", "mean", "last", "position_mean"]),
    help="for a folder without 1_Pooling/config.json",
)
@click.option("--query-prompt", help="the name of the folder's prompt for queries  [default: query]")
@click.option("--query-prefix", help="what is put before a query, instead of a prompt; may be empty")
@click.option("--document-prompt", help="the name of its prompt for documents  [default: document, passage]")
@click.option("--document-prefix", help="what is put before a document, instead of a prompt; may be empty")
@click.option("--dim", type=int, help="only the first dimensions, of a model that was trained for it")
@click.option("--precision", type=click.Choice(["int8", "fp32"]), default="int8", show_default=True)
@click.option("--licence", help="what the model's card says, for the bundle's manifest")
@click.option(
    "--language",
    "languages",
    multiple=True,
    help="a language that the model reads, such as en; others pass through  [default: any]",
)
def bundle_command(
    folder: Path,
    out: Path,
    name: str | None,
    pooling: str | None,
    query_prompt: str | None,
    query_prefix: str | None,
    document_prompt: str | None,
    document_prefix: str | None,
    dim: int | None,
    precision: "Precision",
    licence: str | None,
    languages: tuple[str, ...],
) -> None:
    """Write the bundle of a model folder, as sentence-transformers or Hugging Face have it.

    Everything that a bundle cannot do is refused by name before weights are read. The result is compared with
    the folder's own model, in sentence-transformers if that is installed. Beyond the limits, the command
    fails and leaves nothing.
    """
    from transformers.utils import logging

    from model_export.bundle.compare import FOLDER_LIMITS
    from model_export.bundle.texts import IN_MANY_SCRIPTS
    from model_export.bundle.writer import ExportOptions, export
    from model_export.folders.reader import FolderOptions, ModelFolder
    from model_export.folders.reference import open_reference
    from model_export.model.new_folder import check_absent
    from model_export.model.prompts import PromptChoice

    check_absent(out)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call] # its report on weights alarms for a pooler
    options = FolderOptions(
        name=name,
        pooling=pooling,
        query_prompt=PromptChoice(query_prompt, query_prefix),
        document_prompt=PromptChoice(document_prompt, document_prefix),
        dim=dim,
        licence=licence,
        languages=languages or None,
    )
    opened = ModelFolder.open(folder, options)
    click.echo(_describe(opened))
    base, reference = opened.load(), open_reference(opened)
    exported = export(
        base,
        out,
        ExportOptions(
            limits=FOLDER_LIMITS,
            precision=precision,
            max_bytes=None,
            texts=IN_MANY_SCRIPTS,
            reference=reference,
        ),
    )
    for line in _describe_result(exported, reference.name):
        click.echo(line)
    click.echo(f"{out}: {exported.size_bytes} bytes. Next: twinrank check --bundle {out}")


def _describe(folder: "ModelFolder") -> str:
    """Return what was read from the files, one side a line."""
    lines = []
    for side, about in folder.sides.items():
        plan = about.plan
        head = ", ".join(
            "normalisation" if each is None else f"layer to {each.outputs}" for each in plan.head
        )
        skipped = f" without the first {plan.skipped} tokens" if plan.skipped else ""
        lines.append(
            f"{side}: {folder.encoders[plan.folder].kind}, {about.max_tokens} tokens, pooling {plan.pooling}"
            f"{skipped}{', ' if head else ''}{head}, prefix {about.prompt!r}"
        )
    return "\n".join(lines)


def _describe_result(exported: "ExportResult", reference: str) -> list[str]:
    found = exported.comparison
    return [
        f"read as {reference} reads it: least cosine {exported.reference_cosine:.6f} in float32",
        f"queries: cosine to float32 {found.query_cosine_mean:.4f}, least {found.query_cosine_min:.4f}",
        f"documents: cosine to float32 {found.document_cosine_mean:.4f}, least"
        f" {found.document_cosine_min:.4f}; their order agrees by {found.agreement:.3f}",
    ]
