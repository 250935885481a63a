"""Name the command that installs the packages of an optional feature.

`plugin` and `model_export` both need it, and neither imports the other.
"""

import shlex
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

PROJECT = "twinrank"

_ROOT = Path(__file__).resolve().parent.parent


def missing_package(feature: str, extra: str, error: ImportError) -> str:
    """Say which package `feature` does not find, and the command that installs it and the extra's others."""
    return f"{feature} needs the package {error.name or error}, found none. Run: {install_command(extra)}"


def install_command(extra: str, root: Path = _ROOT) -> str:
    """Return the shell command that installs an extra's packages for the Python that runs this.

    In a clone (`root` is its folder) that is the clone with the extra. Elsewhere the extra's packages are
    named one by one: no package index has to know this project.
    """
    python = Path(sys.executable or "python3")
    if not (root / "pyproject.toml").is_file():
        return pip_install(*_requirements(extra))
    program = python.relative_to(root) if python.is_relative_to(root) else python
    wanted = f"--constraint constraints.txt --editable '.[{extra}]'"
    return f"cd {shlex.quote(str(root))} && {shlex.quote(str(program))} -m pip install {wanted}"


def pip_install(*requirements: str) -> str:
    """Return the shell command that installs packages for the Python that runs this.

    Environments of `uv tool` and of the container image have no pip: another Python's installs into them.
    """
    python = sys.executable or "python3"
    pip = [python, "-m", "pip"] if find_spec("pip") else ["python3", "-m", "pip", "--python", python]
    return shlex.join([*pip, "install", *requirements])


def _requirements(extra: str) -> list[str]:
    """Return what the installed distribution says that an extra needs, as `botocore>=1.40`."""
    found = [each.partition(";") for each in metadata.requires(PROJECT) or ()]
    return [
        requirement.strip()
        for requirement, _, marker in found
        if marker.replace("'", '"').replace(" ", "").endswith(f'extra=="{extra}"')
    ]
