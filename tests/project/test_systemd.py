"""The systemd unit: what it promises about rights, and that the proxy tells systemd when it is ready."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from plugin.harness.proxy_process import free_port
from tests.support.paths import ROOT, TINY_BUNDLE

UNIT = ROOT / "deploy" / "systemd" / "twinrank.service"


def settings() -> dict[str, list[str]]:
    """Return every setting of the unit with its values."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd here")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/twinrank/bin/twinrank", sys.executable))
    verified = subprocess.run(
        [program, "verify", unit], capture_output=True, text=True, check=False, timeout=60
    )
    assert UNIT.name not in verified.stderr, verified.stderr


def test_the_service_has_no_rights_and_writes_to_its_own_tmp_alone() -> None:
    unit = settings()
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == [""]
    for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictNamespaces"):
        assert unit[name] == ["yes"]
    assert unit["ProtectSystem"] == ["strict"]
    assert "ReadWritePaths" not in unit


def test_it_stops_no_sooner_than_the_proxy_does_by_itself() -> None:
    assert int(settings()["TimeoutStopSec"][0]) > 30


def test_the_proxy_tells_systemd_when_it_is_ready(tmp_path: Path) -> None:
    unit = settings()
    assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["main"])
    assert unit["ExecStart"][0].split()[1:] == ["serve"]
    variables = dict(each.split("=", 1) for each in unit["Environment"])
    profile = tmp_path / "profile.toml"
    profile.write_text(
        f'bundle = "{TINY_BUNDLE}"\nupstream = "http://127.0.0.1:{free_port()}"\n'
        f"[serve]\nlisten = {free_port()}\nworkers = 1\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        child = subprocess.Popen(
            [sys.executable, "-m", "plugin", *unit["ExecStart"][0].split()[1:]],
            cwd=ROOT, stderr=subprocess.PIPE,
            env=os.environ | variables
            | {"TWINRANK_PROFILE": str(profile), "NOTIFY_SOCKET": str(tmp_path / "notify")},
        )  # fmt: skip
        try:
            assert b"READY=1" in systemd.recv(4096)
        finally:
            child.terminate()
            child.communicate(timeout=60)
