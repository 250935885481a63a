"""The exporter's command line: `python -m model_export`."""

import sys
from typing import Any

import click

from model_export.commands.base import base_command
from model_export.commands.bundle import (
    calibrate_command,
    compare_command,
    copy_command,
    export_command,
    share_command,
    table_command,
)
from model_export.commands.datasets import fetch_command
from model_export.commands.evaluation import evaluate_command, feedback_command, sizes_command, speed_command
from model_export.commands.folder import bundle_command
from model_export.commands.label import label_command
from model_export.commands.score import score_command
from model_export.commands.training import (
    prefix_command,
    project_command,
    teacher_command,
    train_command,
    unpack_command,
)
from model_export.errors import ExportError
from reranker.errors import RerankerError
from reranker.extras import PROJECT, missing_package
from reranker.printable import make_printable


class _Commands(click.Group):
    """Shows this project's errors as one line, without a traceback."""

    def main(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  # click's own signature
        """Run the command line, on outputs that can print any character."""
        make_printable(sys.stdout, sys.stderr)
        return super().main(*arguments, **options)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except (ExportError, RerankerError) as error:
            raise click.ClickException(str(error)) from error
        except ModuleNotFoundError as error:
            feature = f"twinrank-export {ctx.invoked_subcommand}"
            raise click.ClickException(missing_package(feature, "export", error)) from error


@click.group(cls=_Commands, context_settings={"max_content_width": 120})
@click.version_option(package_name=PROJECT)
def main() -> None:
    """Turn a trained encoder into a model bundle, and measure it."""


for command in (
    base_command,
    bundle_command,
    calibrate_command,
    compare_command,
    copy_command,
    evaluate_command,
    export_command,
    feedback_command,
    fetch_command,
    label_command,
    prefix_command,
    project_command,
    score_command,
    share_command,
    sizes_command,
    speed_command,
    table_command,
    teacher_command,
    train_command,
    unpack_command,
):
    main.add_command(command)


if __name__ == "__main__":
    main(prog_name="python -m model_export")
