"""Downloads from a real HTTP server: resumed, repeated, checked, and plain about what went wrong."""

import hashlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_export.datasets.catalogue import Part
from model_export.datasets.download import ATTEMPTS, compute_checksum, download
from model_export.errors import ExportError
from tests.support.file_server import FileServer, file_server

CONTENT = bytes(range(256)) * 1000
NO_CHECKSUM = f"sha256:{'0' * 64}"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as served:
        served.files["/a.bin"] = CONTENT
        yield served


def part(server: FileServer, content: bytes = CONTENT) -> Part:
    return Part("a.bin", f"sha256:{hashlib.sha256(content).hexdigest()}", f"{server.url}/a.bin")


def test_a_file_is_fetched_once(server: FileServer, tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.bin"
    download(part(server), target)
    download(part(server), target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None]
    assert [file.name for file in target.parent.iterdir()] == ["a.bin"]


def test_a_broken_transfer_goes_on_where_it_ended(server: FileServer, tmp_path: Path) -> None:
    server.break_after = [1000, 5000]
    download(part(server), tmp_path / "a.bin", pause_s=0)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-", "bytes=6000-"]


def test_a_later_call_goes_on_too(server: FileServer, tmp_path: Path) -> None:
    server.break_after = [1000] * ATTEMPTS
    with pytest.raises(ExportError, match="run this again to go on"):
        download(part(server), tmp_path / "a.bin", pause_s=0)
    assert not (tmp_path / "a.bin").exists()
    download(part(server), tmp_path / "a.bin", pause_s=0)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={1000 * ATTEMPTS}-"


def test_a_server_without_ranges_sends_everything_again(server: FileServer, tmp_path: Path) -> None:
    server.has_ranges = False
    server.break_after = [1000]
    download(part(server), tmp_path / "a.bin", pause_s=0)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_complete_file_that_was_not_yet_verified_is_taken(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    download(part(server), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.statuses = [503, 502]
    download(part(server), tmp_path / "a.bin", pause_s=0)
    assert len(server.ranges) == 3


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (500, ATTEMPTS)])
def test_a_refusal_is_named(server: FileServer, tmp_path: Path, status: int, requests: int) -> None:
    server.statuses = [status] * requests
    with pytest.raises(ExportError, match=f"expected {server.url}/a.bin, found: {status} "):
        download(part(server), tmp_path / "a.bin", pause_s=0)
    assert len(server.ranges) == requests


def test_another_file_than_expected_is_not_kept(server: FileServer, tmp_path: Path) -> None:
    wrong = part(server, b"something else")
    with pytest.raises(ExportError, match=f"expected {wrong.checksum} in .* found sha256:.*another file now"):
        download(wrong, tmp_path / "a.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_that_is_there_is_named(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"damaged")
    with pytest.raises(ExportError, match="Delete it"):
        download(part(server), tmp_path / "a.bin")
    assert server.ranges == []


def test_a_network_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.bin"
        with pytest.raises(ExportError, match=r"the network failed 4 times, last with: .*refused"):
            download(Part("a.bin", NO_CHECKSUM, url), tmp_path / "a.bin", pause_s=0)


def test_a_host_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"expected to fetch http://nowhere\.invalid/a\.bin"):
        download(Part("a.bin", NO_CHECKSUM, "http://nowhere.invalid/a.bin"), tmp_path / "a", pause_s=0)


def test_a_file_of_this_machine_is_no_url(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"expected a URL with http or https for .* found file:///etc/x"):
        download(Part("a.bin", NO_CHECKSUM, "file:///etc/x"), tmp_path / "a.bin")


def test_a_file_without_an_address_is_put_in_place_by_hand(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    manual = Part("a.bin", f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    with pytest.raises(ExportError, match=f"Put it at {target}"):
        download(manual, target)
    target.write_bytes(CONTENT)
    download(manual, target)


def test_git_names_a_content_as_git_does(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(CONTENT)
    named = subprocess.run(["git", "hash-object", file], capture_output=True, text=True, check=True)
    assert compute_checksum(file, "git") == f"git:{named.stdout.strip()}"
