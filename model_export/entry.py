"""The command `twinrank-export`."""

from model_export.__main__ import main as commands


def main() -> None:
    """Run the exporter's command line."""
    commands(prog_name="twinrank-export")
