"""`twinrank check`: whether a bundle is complete, and computes here what its original model computes."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from plugin.options.common import bundle_option, json_option
from reranker.bundle import Bundle
from reranker.bundle_sizes import describe_sizes, measure_sizes
from reranker.canonical import Replay, replay


@click.command("check")
@bundle_option
@json_option
def check_command(bundle_path: Path, as_json: bool) -> None:
    """Check a bundle's files, and replay its canonical texts through ONNX Runtime on this machine."""
    bundle = Bundle.open(bundle_path)
    found = replay(bundle)
    own, others = measure_sizes(bundle)
    described = {
        "bundle": bundle.name,
        "version": bundle.manifest.version,
        "digest": bundle.manifest.digest,
        "own_bytes": own,
        "shared_bytes": others,
        **asdict(found),
    }
    click.echo(json.dumps(described) if as_json else _describe(bundle, found))
    if not found.within:
        raise click.ClickException(
            f"{bundle_path}: expected the canonical vectors and scores within their tolerances, found the"
            " differences above. This CPU or ONNX Runtime gives other results: export the bundle here"
        )


def _describe(bundle: Bundle, found: Replay) -> str:
    return (
        f"{bundle.label}: every file fits its checksum; {describe_sizes(bundle)}.\n"
        "Against the original model, on the canonical texts: cosine of queries at least"
        f" {found.query_cosine:.4f}, of documents {found.document_cosine:.4f};"
        f" largest difference of a score {found.score_difference:.4f}."
    )
