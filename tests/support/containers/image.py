"""The image: what the Dockerfile says of it, and its folder /opt/twinrank, made of this checkout."""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.wheel import build_wheel

APPLICATION = "/opt/twinrank"


@dataclass(frozen=True)
class ImageConfig:
    """What the Dockerfile's final stage sets for every container."""

    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: dict[str, str]
    health_check: tuple[str, ...]
    user: int
    folder: str


@dataclass(frozen=True)
class BuiltImage:
    """The image on this machine: its configuration, and where its folder /opt/twinrank is."""

    config: ImageConfig
    application: Path
    dependencies: tuple[Path, ...]


def read_instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions in order, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1].strip()) for line in lines if line.strip()]


def read_image_config() -> ImageConfig:
    """Return what the Dockerfile sets."""
    last = dict(read_instructions())  # of each instruction, the last one counts; here ENV has a single one
    environment = dict(each.split("=", 1) for each in shlex.split(last["ENV"]))
    environment["PATH"] = environment["PATH"].replace("$PATH", "/usr/local/bin:/usr/bin:/bin")
    return ImageConfig(
        tuple(json.loads(last["ENTRYPOINT"])),
        tuple(json.loads(last["CMD"])),
        environment,
        tuple(json.loads(last["HEALTHCHECK"].partition("CMD ")[2])),
        int(last["USER"]),
        last["WORKDIR"],
    )


def build_image(folder: Path) -> BuiltImage:
    """Install the wheel as the Dockerfile does, but with the dependencies that the tests have already."""
    application = folder / "twinrank"
    base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    subprocess.run([base, "-m", "venv", "--without-pip", application], check=True, timeout=120)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", str(application / "bin" / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, build_wheel(folder)], check=True, timeout=300)
    dependencies = tuple(Path(each) for each in sys.path if each.endswith("site-packages"))
    [packages] = application.glob("lib/*/site-packages")
    places = [place_of_dependencies(number) for number in range(len(dependencies))]
    (packages / "dependencies.pth").write_text("".join(f"{place}\n" for place in places))
    for script in application.glob("bin/twinrank*"):
        script.write_text(script.read_text().replace(str(application), APPLICATION))
    return BuiltImage(read_image_config(), application, dependencies)


def place_of_dependencies(number: int) -> str:
    """Return where the image has a folder of dependencies."""
    return f"/opt/dependencies/{number}"
