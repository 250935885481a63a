"""The command `twinrank`: one group; each command's module is imported when it is asked for."""

import difflib
import importlib
import sys
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from reranker.printable import make_printable

WIDEST_HELP = 120
"""Columns of the help on a wide terminal: longer lines are hard to read."""


@dataclass(frozen=True)
class _Lazy:
    """A command that is not imported yet: its module in commands/, and its first sentence for the list."""

    module: str
    name: str
    help: str


_COMMANDS = {
    "backfill": _Lazy(
        "backfill", "backfill_command",
        "Give vectors to one slice of INDEX, so that several machines can share the work.",
    ),
    "check": _Lazy(
        "check", "check_command",
        "Check a bundle's files, and replay its canonical texts through ONNX Runtime on this machine.",
    ),
    "demo": _Lazy(
        "demo", "demo_command",
        "Start OpenSearch and Twinrank on this machine, and compare some searches.",
    ),
    "disable": _Lazy("enable", "disable_command", "Disable reranking for INDEX."),
    "enable": _Lazy(
        "enable", "enable_command",
        "Enable reranking for INDEX.",
    ),
    "estimate": _Lazy(
        "estimate", "estimate_command",
        "Estimate what vectors for INDEX take: hours, core-hours, gigabytes and dollars.",
    ),
    "evaluate": _Lazy(
        "evaluate", "evaluation_command",
        "Measure judged queries on OpenSearch alone and through Twinrank.",
    ),
    "experiment": _Lazy(
        "experiment", "experiment_command",
        "Compare orders on the searches of INDEX, and learn from clicks which is better.",
    ),
    "explain": _Lazy(
        "explain", "explain_command",
        "Show step by step how a search for TEXT in INDEX is reranked.",
    ),
    "features": _Lazy(
        "features", "features_command",
        "Print the features of every hit of judged queries on INDEX, to learn a combiner from.",
    ),
    "gate": _Lazy(
        "gate", "gate_command",
        "Fail if searches of INDEX have become worse than a baseline.",
    ),
    "index": _Lazy(
        "index", "index_command",
        "Index the documents of FILE with their vectors.",
    ),
    "judgments": _Lazy(
        "judgments", "judgments_command",
        "Make judgements of INDEX's documents from recorded clicks.",
    ),
    "migrate": _Lazy(
        "migrate", "migrate_command",
        "Change the model of INDEX while it is searched and written.",
    ),
    "native": _Lazy(
        "native", "native_command",
        "Let OpenSearch's own pipelines rerank with ml-commons, without a proxy.",
    ),
    "opensearch": _Lazy(
        "local_server", "opensearch_command",
        "Start, stop and inspect a local OpenSearch.",
    ),
    "search": _Lazy(
        "search", "search_command",
        "Search INDEX for TEXT directly in OpenSearch and through the proxy, side by side.",
    ),
    "serve": _Lazy("serve", "serve_command", "Run the proxy in front of OpenSearch."),
    "settings": _Lazy(
        "settings", "settings_command",
        "Show every setting of INDEX, the source of each value, and any problems.",
    ),
    "status": _Lazy(
        "status", "status_command",
        "Show how many documents of INDEX have vectors, and what to do next.",
    ),
    "sync": _Lazy(
        "sync", "sync_command",
        "Bring the vectors of INDEX up to date, however its documents were written.",
    ),
    "tune": _Lazy(
        "tune", "tune_command",
        "Fit INDEX's fusion weight and window on judged queries, and print the mapping change.",
    ),
    "ubi": _Lazy("ubi", "ubi_command", "Prepare OpenSearch for User Behavior Insights."),
    "verify": _Lazy(
        "verify", "verify_command",
        "Check the vector of every document of INDEX.",
    ),
}  # fmt: skip
"""Every command. The sentences are those of the commands themselves, which a test compares."""


def expected_errors() -> tuple[type[Exception], ...]:
    """Return the base classes of expected errors: shown as a message, with exit status 1 and no traceback.

    They are imported only after an error, when their modules are loaded anyway.
    """
    from indexer.errors import InputError
    from indexer.migration import MigrationError
    from opensearch.errors import OpenSearchError
    from opensearch.settings.table import SettingsError
    from plugin.errors import CommandError, RerankFailedError, UpstreamError
    from reranker.errors import RerankerError

    commands = CommandError, InputError, MigrationError, SettingsError
    return (*commands, OpenSearchError, RerankerError, RerankFailedError, UpstreamError)


class Commands(click.Group):
    """A group that imports its commands on demand, and turns expected errors into messages."""

    def main(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command line, with standard output and error that can print any character."""
        make_printable(sys.stdout, sys.stderr)
        return super().main(*arguments, **options)

    def invoke(self, context: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command; raise click.ClickException (exit status 1) for an expected error."""
        try:
            return super().invoke(context)
        except click.BadParameter as error:
            from plugin.options.origins import locate_error

            raise locate_error(error) from error
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise  # before the expected errors are imported
        except UnicodeEncodeError as error:
            found = ascii(error.object[error.start : error.end])
            raise click.ClickException(
                f"expected arguments in {sys.getfilesystemencoding()}, found {found}, which is no text"
            ) from error
        except expected_errors() as error:
            raise click.ClickException(str(error)) from error

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the commands' names."""
        return sorted(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import a command; None if there is no such command."""
        lazy = _COMMANDS.get(name)
        if lazy is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"plugin.commands.{lazy.module}"), lazy.name)
        from plugin.options.sources import add_sources

        add_sources(command, (name,))
        return command

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; for an unknown one, suggest the most similar name."""
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            if near := difflib.get_close_matches(arguments[0], _COMMANDS, n=1):
                message = f"{error.message} Did you mean {near[0]!r}?"
                raise click.UsageError(message, error.ctx) from error
            raise

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in sorted(_COMMANDS.items())])

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name without importing any."""
        found = [name for name in sorted(_COMMANDS) if name.startswith(incomplete)]
        names = [CompletionItem(name, help=_COMMANDS[name].help) for name in found]
        return [*names, *click.Command.shell_complete(self, context, incomplete)]


@click.group(cls=Commands, context_settings={"max_content_width": WIDEST_HELP})
@click.version_option(package_name="twinrank")
def main() -> None:
    """Twinrank: a neural reranker for OpenSearch."""
