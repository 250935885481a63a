"""Start Twinrank: the commands `twinrank` and `twinrank-export`, and `python -m twinrank`.

Twinrank is an application: its packages have plain names (`plugin`, `opensearch`) that another package may
have too. This module's name is Twinrank's own. It makes sure that the packages are Twinrank's before any of
them is imported: otherwise an import would fail far inside, or a stranger's code would run.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("indexer", "model_export", "opensearch", "plugin", "reranker")

_HOME = Path(__file__).resolve().parent


def main() -> None:
    """Run the command `twinrank`."""
    _refuse_strangers()
    import_module("plugin.commands.main").main(prog_name="twinrank")


def export() -> None:
    """Run the command `twinrank-export`."""
    _refuse_strangers()
    import_module("model_export.entry").main()


def find_stranger(home: Path = _HOME) -> str | None:
    """Return what is wrong with where Python finds the packages; None if each is beside this module.

    It imports none of them.
    """
    for name in PACKAGES:
        found = _folder_of(name)
        if found is None or found.parent != home:
            return f"expected the package {name} at {home / name}, found {found or 'none'}"
    return None


def _folder_of(package: str) -> Path | None:
    """Return the folder, or the file, that Python would import a top-level name from; None without one."""
    spec = find_spec(package)
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or [])
    found = folders[0] if folders else spec.origin
    return Path(found).resolve() if found else None


def _put_before_site_packages() -> None:
    """Find a checkout's packages before installed ones: opensearch-protobufs has an `opensearch` too."""
    installed = (at for at, folder in enumerate(sys.path) if Path(folder).name == "site-packages")
    sys.path.insert(next(installed, len(sys.path)), str(_HOME))


def _refuse_strangers() -> None:
    """Exit with status 1 and a message if another package would be imported in the place of one of these."""
    _put_before_site_packages()
    if problem := find_stranger():
        sys.exit(
            f"Error: {problem}. Another package has the name of one of Twinrank's. Install Twinrank into an"
            " environment of its own (pipx does), and take other code out of PYTHONPATH."
        )


if __name__ == "__main__":
    main()
