"""The command `twinrank-export`, which says plainly when the libraries that it needs are not installed."""


def main() -> None:
    """Run the exporter's command line.

    Raises:
        SystemExit: torch or another library of the export extra is not installed.
    """
    try:
        from model_export.__main__ import main as commands
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"twinrank-export needs the libraries of the export extra, found no {error.name}:"
            " pip install 'twinrank[export]', or make test, which installs them"
        ) from error
    commands(prog_name="twinrank-export")
