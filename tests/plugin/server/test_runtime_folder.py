"""The folder that workers share: ours alone, one for each OpenSearch and account, no secret in its name."""

from pathlib import Path

import pytest

from plugin.http.headers import read_credentials
from plugin.server.runtime_folder import RuntimeFolderError, make_runtime_folder
from plugin.upstream.client import Upstream


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_it_is_closed_to_others_and_the_same_again() -> None:
    folder = make_runtime_folder("settings", "http://user:secret@host:9200")
    assert folder == make_runtime_folder("settings", "http://user:secret@host:9200")
    assert folder != make_runtime_folder("settings", "http://other:secret@host:9200")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "secret" not in str(folder)


def test_a_folder_that_is_open_to_others_is_refused(tmp_path: Path) -> None:
    folder = make_runtime_folder("x")
    folder.chmod(0o755)
    with pytest.raises(RuntimeFolderError, match=r"expected .* this user alone.*TMPDIR"):
        make_runtime_folder("x")


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    folder = make_runtime_folder("x")
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RuntimeFolderError, match="this user alone"):
        make_runtime_folder("x")


def test_a_service_accounts_password_is_in_its_header_and_nowhere_else() -> None:
    url = "http://us%40er:pass@127.0.0.1:9200"
    assert read_credentials(url) == (("Authorization", "Basic dXNAZXI6cGFzcw=="),)
    assert read_credentials("http://127.0.0.1:9200") == ()
    assert Upstream(url).url == "http://127.0.0.1:9200"
    with pytest.raises(ValueError, match=r"found '127\.0\.0\.1:9200/path'"):
        Upstream("http://user:secret@127.0.0.1:9200/path")
