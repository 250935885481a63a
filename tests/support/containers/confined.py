"""Run a container's command under the container's restrictions, with the kernel's own means and no Docker.

The process is number 1 of its own. Its root has the system's programs, Python, the image's /opt/twinrank and
nothing else of this machine, all of it mounted for reading only. The network is this machine's.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.containers.image import APPLICATION, BuiltImage, place_of_dependencies
from tests.support.containers.settings import ContainerSettings
from tests.support.processes import children_of
from tests.support.waiting import until

UNSHARE = ("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
DEVICES = ("null", "zero", "full", "random", "urandom")
OF_THE_SYSTEM = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "hosts", "resolv.conf", "ssl")
"""What an image has in /etc, as far as Python asks for it."""


@dataclass(frozen=True)
class ConfinedProcess:
    """A running container: the program that holds it, and its first process."""

    child: subprocess.Popen[bytes]
    pid: int
    settings: ContainerSettings
    log: Path

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it, as `docker exec` and `kubectl exec` do."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--ipc", "--uts", "--root"]
        return subprocess.run(
            [*enter, *_drop_rights(self.settings), *command],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def find_writable_folders(self) -> set[str]:
        """Return the folders of its root in which even an administrator can write, not those within them."""
        find = ["find", "/", "-path", "/proc", "-prune", "-o", "-type", "d", "-writable", "-print", "-prune"]
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--root"]
        found = subprocess.run(
            [*enter, *find], capture_output=True, text=True, check=True, cwd="/", timeout=300
        )
        return set(found.stdout.split())

    def read_status(self, pid: int) -> dict[str, str]:
        """Return the members of /proc/PID/status of one of its processes."""
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def find_obstacle() -> str | None:
    """Return why nothing can be confined here; None if it can."""
    for program in ("unshare", "nsenter", "setpriv"):
        if shutil.which(program) is None:
            return f"there is no {program} here"
    tried = subprocess.run(
        [*UNSHARE, "sh", "-c", "mount --make-rprivate / && mount -t tmpfs none /mnt"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"this system lets nobody mount: {tried.stderr.strip()}" if tried.returncode else None


@contextmanager
def confined(image: BuiltImage, settings: ContainerSettings, folder: Path) -> Iterator[ConfinedProcess]:
    """Run a container while the block runs. `folder` gets its log, and serves as its root."""
    log, script = folder / "container.log", _write_script(image, settings, folder)
    with log.open("wb") as output:
        child = subprocess.Popen([*UNSHARE, "sh", "-eu", script], stdout=output, stderr=output, cwd="/")
    try:
        until(lambda: bool(children_of(child.pid)) or child.poll() is not None, "its first process")
        assert child.poll() is None, log.read_text()
        yield ConfinedProcess(child, children_of(child.pid)[0], settings, log)
    finally:
        child.kill()
        child.wait()


def run_confined(
    image: BuiltImage, settings: ContainerSettings, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a container to its end."""
    script = _write_script(image, settings, folder)
    return subprocess.run(
        [*UNSHARE, "sh", "-eu", script], capture_output=True, text=True, check=False, cwd="/", timeout=300
    )


def _write_script(image: BuiltImage, settings: ContainerSettings, folder: Path) -> Path:
    root = folder / "root"
    root.mkdir(parents=True)
    secrets = folder / "files"
    lines = [
        "mount --make-rprivate /",
        f"mount -t tmpfs -o mode=755 image {shlex.quote(str(root))}",
        f"cd {shlex.quote(str(root))}",
        *_mount_system(),
        *_mount(str(image.application), APPLICATION),
    ]
    for number, source in enumerate(image.dependencies):
        lines += _mount(str(source), place_of_dependencies(number))
    for number, (place, content) in enumerate(settings.files.items()):
        source = secrets / str(number)
        secrets.mkdir(exist_ok=True)
        source.write_bytes(content)
        lines += [f"chown 0:{settings.group} {shlex.quote(str(source))}", f"chmod 440 {source}"]
        lines += _mount(str(source), place, is_file=True)
    for place in settings.volumes:
        lines += [f"mkdir -p .{place}", f"mount -t tmpfs -o mode=1777,noexec,nosuid,nodev volume .{place}"]
    lines.append(f"mkdir -p .{settings.folder}")
    if settings.has_read_only_root:
        lines.append("mount -o remount,ro .")
    environment = [f"{name}={value}" for name, value in settings.environment.items()]
    command = [
        "chroot", ".", *_drop_rights(settings), "env", "-i", "-C", settings.folder, *environment,
        *settings.command,
    ]  # fmt: skip
    lines.append(f"exec {shlex.join(command)}")
    script = folder / "enter.sh"
    script.write_text("\n".join(lines) + "\n")
    return script


def _mount_system() -> list[str]:
    """Return the commands that give a new root the system's programs, devices and a view of its processes."""
    lines = ["mkdir -p etc proc dev dev/shm", "mount -t proc proc proc"]
    for name in ("bin", "sbin", "lib", "lib64"):
        place = Path("/", name)
        if place.is_symlink():
            lines.append(f"ln -s {place.readlink()} {name}")
        elif place.exists():
            lines += _mount(str(place), str(place))
    lines += _mount("/usr", "/usr")
    if not Path(sys.base_prefix).is_relative_to("/usr"):
        lines += _mount(sys.base_prefix, sys.base_prefix)
    for name in DEVICES:
        lines.append(f"touch dev/{name} && mount --bind /dev/{name} dev/{name}")
    lines += [f"ln -s /proc/self/fd{tail} dev/{name}" for name, tail in
              (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2"))]  # fmt: skip
    return [*lines, *(f"cp -a /etc/{name} etc/" for name in OF_THE_SYSTEM if Path("/etc", name).exists())]


def _mount(source: str, place: str, *, is_file: bool = False) -> list[str]:
    """Return the commands that show a folder or a file in the new root, for reading only."""
    source, place = shlex.quote(source), shlex.quote(f".{place}")
    make = f'mkdir -p "$(dirname {place})" && touch {place}' if is_file else f"mkdir -p {place}"
    return [make, f"mount --bind {source} {place}", f"mount -o remount,bind,ro {place}"]


def _drop_rights(settings: ContainerSettings) -> Sequence[str]:
    """Return the program that becomes the container's user, and gives up what its settings say."""
    rights = ["setpriv", f"--reuid={settings.user}", f"--regid={settings.group}", "--clear-groups"]
    if settings.drops_all_capabilities:
        rights += ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
    if settings.forbids_new_privileges:
        rights.append("--no-new-privs")
    return rights
