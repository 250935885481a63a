"""`twinrank-export train`, `teacher`, `project`, `prefix` and `unpack`: models from data and from models.

A command imports what it needs when it runs, so that its help works without torch.
"""

from pathlib import Path

import click
from msgspec.structs import replace

from model_export.commands.options import BUNDLE, CONFIG, FOLDER, NEW_FOLDER
from model_export.errors import TrainingError
from reranker.bundle import BUNDLES, DEFAULT_BUNDLE, Bundle


@click.command("train")
@click.argument("config", type=CONFIG)
@click.option("--out", required=True, type=FOLDER, help="checkpoints, scores, log, curve, and the model")
@click.option(
    "--documents",
    type=CONFIG,
    help="for clicks: JSON lines with _id and texts, if the clicks name documents by ids",
)
@click.option(
    "--bundle",
    type=BUNDLE,
    default=DEFAULT_BUNDLE.name,
    show_default=True,
    help="for clicks: the bundle whose query tower learns",
)
@click.option("--name", default="my-clicks", show_default=True, help="for clicks: the new bundle's name")
@click.option(
    "--epochs", type=click.IntRange(1), default=3, show_default=True, help="for clicks: passes over them"
)
def train_command(
    config: Path, out: Path, documents: Path | None, bundle: Path, name: str, epochs: int
) -> None:
    """Train a student as the TOML file CONFIG describes; run it again to go on after an interruption.

    If CONFIG is a .csv or .tsv of clicks (query, document, clicks, impressions), the query tower of --bundle
    learns from them. The new bundle is compared with the old one on queries that were held back.
    """
    if config.name.removesuffix(".gz").endswith((".csv", ".tsv")):
        _train_on_clicks(config, documents, Bundle.open(bundle), out, name, epochs)
        return
    from model_export.train.config import read_config
    from model_export.train.run import train

    click.echo(f"{train(read_config(config), out, click.echo)}: export it with --base")


def _train_on_clicks(
    clicks: Path, documents: Path | None, bundle: Bundle, out: Path, name: str, epochs: int
) -> None:
    """Train, export and compare; the document tower stays, and with it every stored vector."""
    from model_export.bundle.compare import TRAINED_LIMITS
    from model_export.bundle.manifest import write_manifest
    from model_export.bundle.writer import ExportOptions, export
    from model_export.data.clicks import read_clicks, read_documents
    from model_export.data.collection import load_collection
    from model_export.evaluation.held_back import compare_on_held_back
    from model_export.model.base import load_base
    from model_export.train.config import read_config
    from model_export.train.from_clicks import write_click_files
    from model_export.train.run import train

    new_folder = out / name
    if new_folder.exists():
        raise TrainingError(f"expected no {new_folder} yet, found one: remove it, or give another --name")
    texts = None if documents is None else read_documents(documents)
    files = write_click_files(read_clicks(clicks, texts), bundle, out, name=name, epochs=epochs)
    click.echo(f"{files.num_learned} queries to learn from, {files.num_held_back} held back")
    model = train(read_config(files.config), out / "run", click.echo)
    shared = (bundle,) if bundle.path.parent == BUNDLES else ()  # others may not be where it is served
    options = ExportOptions(limits=TRAINED_LIMITS, documents_of=bundle, share_with=shared, max_bytes=None)
    export(load_base(str(model)), new_folder, options)
    exported = Bundle.open(new_folder)
    kept = {
        key: getattr(bundle.manifest, key) for key in ("fusion", "crossing", "neutral_crossing", "languages")
    }
    write_manifest(new_folder, replace(exported.manifest, **kept))
    data = load_collection(files.held_back)
    result = compare_on_held_back(data, bundle, Bundle.open(new_folder), out / "cache")
    for line in result.format(bundle.name, name):
        click.echo(line)
    click.echo(f"{new_folder}: stored vectors stay valid. Try it: twinrank serve --bundle {new_folder}")
    click.echo(f"Go back at any time: twinrank serve --bundle {bundle.name}")


@click.command("teacher")
@click.argument("config", type=CONFIG)
@click.option("--out", required=True, type=FOLDER, help="checkpoints, log, curve, and the cross-encoder")
def teacher_command(config: Path, out: Path) -> None:
    """Fine-tune a cross-encoder on labelled pairs as the TOML file CONFIG describes."""
    from model_export.train.config import read_teacher_config
    from model_export.train.run import train_teacher

    click.echo(f"{train_teacher(read_teacher_config(config), out, click.echo)}: name it in cross_encoders")


@click.command("project")
@click.argument("config", type=CONFIG)
@click.option("--base", required=True, help="the base whose query tower gets the layer")
@click.option(
    "--towards", required=True, help="the base whose vectors, with its query prefix, the layer learns"
)
@click.option("--texts", default=20_000, show_default=True, help="how many queries of CONFIG's data")
@click.option("--out", required=True, type=FOLDER, help="a folder for vectors and the new base")
def project_command(config: Path, base: str, towards: str, texts: int, out: Path) -> None:
    """Fit a linear layer after a query tower that replaces a query prefix, so that queries need no prefix."""
    from model_export.train.base_changes import project
    from model_export.train.config import read_config

    found = project(read_config(config), base, towards, texts, out, click.echo)
    click.echo(f"{found}: export it with --base")


@click.command("prefix")
@click.argument("config", type=CONFIG)
@click.option("--base", required=True, help="the base whose query prefix is made constant")
@click.option("--texts", default=800, show_default=True, help="how many queries of CONFIG's data")
@click.option("--out", required=True, type=FOLDER, help="a folder for the new base")
def prefix_command(config: Path, base: str, texts: int, out: Path) -> None:
    """Make a query prefix constant in every layer, so that no query has to read it."""
    from model_export.train.base_changes import fix_prefix
    from model_export.train.config import read_config

    found = fix_prefix(read_config(config), base, texts, out, click.echo)
    click.echo(f"{found}: export it with --base")


@click.command("unpack")
@click.argument("bundle", type=BUNDLE)
@click.option("--out", required=True, type=NEW_FOLDER, help="the model's folder, which must not exist")
def unpack_command(bundle: Path, out: Path) -> None:
    """Write the towers of BUNDLE, a folder or a shipped bundle's name, in float32, as --base reads them."""
    from model_export.train.unpack import WHOLE_FOLDER, unpack

    opened = Bundle.open(bundle)
    done = unpack(opened, out)
    click.echo(
        f"{out}: a query tower of {done.query_layers[0]} layers, a document tower of {done.document_layers};"
        f" least cosine to the graphs {done.query_cosine:.4f} and {done.document_cosine:.4f}"
    )
    documents = opened.path if opened.vectors_of == opened.name else opened.vectors_of
    beyond, options = opened.manifest.whole_beyond, f"--documents-of {documents}"
    if beyond is not None:
        click.echo(f"{out / WHOLE_FOLDER}: the query tower of queries of more than {beyond} tokens")
        options += f" --whole-beyond {beyond}"
    size_mb = sum(file.stat().st_size for file in opened.files.values()) // 1_000_000 + 1
    click.echo(
        f"Export it, with the stored vectors kept valid: --base {out} {options} --max-mb {max(size_mb, 50)}"
    )
