"""The command `twinrank`: one group, one module for each command."""

from typing import Any

import click

from indexer.migration import MigrationError
from opensearch.errors import OpenSearchError
from opensearch.settings import SettingsError
from plugin.admin_commands import disable_command, explain_command, settings_command
from plugin.check_command import check_command
from plugin.demo_command import demo_command
from plugin.errors import CommandError, RerankFailedError, UpstreamError
from plugin.evaluation_command import evaluation_command
from plugin.index_commands import enable_command, index_command, status_command
from plugin.migrate_command import migrate_command
from plugin.native_command import native_command
from plugin.opensearch_command import opensearch_command
from plugin.search_command import search_command
from plugin.serve import serve
from plugin.sync_commands import sync_command
from plugin.tuning_command import tune_command
from plugin.verify_command import verify_command
from reranker.errors import RerankerError

EXPECTED_ERRORS: tuple[type[Exception], ...] = (
    CommandError,
    MigrationError,
    OpenSearchError,
    RerankerError,
    RerankFailedError,
    SettingsError,
    UpstreamError,
)
"""Roots of our own error trees: shown as a message and exit status 1, without a traceback."""


class Commands(click.Group):
    """A group that turns our own errors into messages on standard error."""

    def invoke(self, context: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command; raise click.ClickException (exit status 1) for one of EXPECTED_ERRORS."""
        try:
            return super().invoke(context)
        except EXPECTED_ERRORS as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands)
@click.version_option(package_name="twinrank")
def main() -> None:
    """Twinrank: a neural reranker for OpenSearch."""


for command in (
    check_command,
    demo_command,
    disable_command,
    enable_command,
    evaluation_command,
    explain_command,
    index_command,
    migrate_command,
    native_command,
    opensearch_command,
    search_command,
    serve,
    settings_command,
    status_command,
    sync_command,
    tune_command,
    verify_command,
):
    main.add_command(command)
