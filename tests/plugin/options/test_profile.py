"""Options from a profile: found, checked, and told apart from other sources."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from plugin.commands.main import main
from tests.support.paths import ROOT

SERVE = ("serve", "--show-options")


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """Return a file for a profile, which is not there yet."""
    return tmp_path / "profile.toml"


def run(*arguments: str, **environment: str | None) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"TWINRANK_PROFILE": os.devnull, **environment})


def serve(file: Path, *options: str, **environment: str | None) -> Result:
    """Show the options of `serve` with a profile."""
    return run(*SERVE, "--profile", str(file), *options, **environment)


def shown(text: str, option: str) -> list[str]:
    """Return the value and the origin of an option."""
    row = next(line for line in text.splitlines() if line.startswith(f"{option} "))
    return row.removeprefix(option).strip().split(maxsplit=1)


def test_the_command_line_comes_before_the_environment_then_the_profile_then_the_default(
    profile: Path,
) -> None:
    profile.write_text('upstream = "http://profile:1"\n[serve]\nlisten = 1001\nworkers = 3\n')
    done = serve(profile, "--listen", "1003", TWINRANK_LISTEN="1002", TWINRANK_WORKERS="5")
    assert done.exit_code == 0, done.output
    place = f"{profile}, line"
    value, origin = shown(done.output, "--listen")
    assert (value, origin) == ("127.0.0.1:1003", f"command line (not TWINRANK_LISTEN, {place} 3)")
    assert shown(done.output, "--workers") == ["5", f"TWINRANK_WORKERS (not {place} 4)"]
    assert shown(done.output, "--upstream") == ["http://profile:1", f"{place} 1"]
    assert shown(done.output, "--keep-alive") == ["300", "default"]


def test_a_table_comes_before_what_commands_share(profile: Path) -> None:
    profile.write_text(
        'user = "all"\nca = "ca.pem"\n[sync]\nuser = "one"\n[native.install]\nread-timeout = 7\n'
    )
    (profile.parent / "ca.pem").touch()
    of_sync = run("sync", "books", "--show-options", TWINRANK_PROFILE=str(profile)).output
    assert shown(of_sync, "--user")[0] == "one"
    assert shown(of_sync, "--ca")[0] == str(profile.parent / "ca.pem"), "from the profile's own folder"
    install = ("native", "install", "books", "--sidecar", "http://a", "--show-options")
    of_native = run(*install, TWINRANK_PROFILE=str(profile)).output
    assert shown(of_native, "--user")[0] == "all"
    assert shown(of_native, "--read-timeout")[0] == "7"


def test_values_of_every_kind(profile: Path) -> None:
    profile.write_text(
        'upstream = ["http://a:1", "http://b:2"]\ninsecure = true\n'
        'bundle = "bge-small-en-v1.5-fast"\n[serve]\nlog_queries = false\nslow-ms = 0.5\n'
    )
    given = serve(profile).output
    assert "http://a:1 http://b:2" in given
    assert shown(given, "--insecure")[0] == "true"
    assert shown(given, "--log-queries")[0] == "false"
    assert shown(given, "--slow-ms")[0] == "0.5"
    assert shown(given, "--bundle")[0].endswith("/bge-small-en-v1.5-fast"), "a name is not a file here"


def test_values_as_json_without_passwords(profile: Path) -> None:
    done = run("sync", "books", "--show-options", "--json", "--upstream", "http://me:quince@localhost:1")
    options = {each["option"]: each for each in json.loads(done.stdout)["options"]}
    assert options["--upstream"] == {
        "option": "--upstream", "value": "http://me:***@localhost:1", "from": "command line", "over": [],
    }  # fmt: skip
    assert "quince" not in done.output


def test_the_default_place(tmp_path: Path) -> None:
    for folder in (tmp_path / "config", tmp_path / "home" / ".config"):
        (folder / "twinrank").mkdir(parents=True)
        (folder / "twinrank" / "profile.toml").write_text(f'user = "{folder.name}"\n')
    home = {"HOME": str(tmp_path / "home"), "TWINRANK_PROFILE": None}
    elsewhere = run(*SERVE, **home, XDG_CONFIG_HOME=str(tmp_path / "config")).output
    assert shown(elsewhere, "--user")[0] == "config"
    assert shown(run(*SERVE, **home, XDG_CONFIG_HOME=None).output, "--user")[0] == ".config"
    assert "profile: none" in run(*SERVE, XDG_CONFIG_HOME=str(tmp_path), **home).output


@pytest.mark.parametrize(("text", "words"), [
    ('[serve]\n\nlisen = 1\n', "line 3: expected an option of serve, found lisen. Did you mean listen?"),
    ('[serve]\npasword-file = "x"\n', "Did you mean password_file?"),
    ("lisen = 1\n", "that several commands share, found lisen. Did you mean listen under [serve]?"),
    ('upstraem = "x"\n', "Did you mean upstream?"),
    ("[srve]\nlisten = 1\n", "line 1: expected a table for a command, found [srve]. Did you mean [serve]?"),
    ("[serve]\nlisten = 1\n[[sync]]\nrate = 1\n", "found"),
    ("native = 1\n", "found native"),
    ('password = "quince"\n', "name that with password_file"),  # pragma: allowlist secret
    ('[serve]\npassword = "quince"\n', "name that with password_file"),  # pragma: allowlist secret
    ('[serve]\nlog-queries = 1\nlog_queries = 1\n', "expected one of log_queries and log-queries"),
    ("[serve]\nlisten = [1, 2]\n", "for listen, found a list"),
    ("upstream = [[1]]\n", "or a list of them for upstream, found a list"),
    ("[serve]\nworkers = 1979-05-27\n", "for workers, found 1979-05-27"),
    ("[serve\n", "at line 1, column 7"),
    ("user = \"\xff\"\n", "expected a profile in TOML"),
])  # fmt: skip
def test_a_profile_that_cannot_be_used_is_refused(profile: Path, text: str, words: str) -> None:
    profile.write_bytes(text.encode("latin-1"))
    profile.chmod(0o644)
    done = serve(profile)
    assert done.exit_code == 2, done.output
    assert words in done.output
    assert str(profile) in done.output
    assert "quince" not in done.output


def test_only_its_owner_may_read_a_profile_with_a_password_in_a_url(profile: Path) -> None:
    profile.write_text('upstream = "https://me:quince@os:9200"\n')  # pragma: allowlist secret
    profile.chmod(0o640)
    refused = serve(profile)
    assert refused.exit_code == 2
    assert "line 1: upstream holds a password, and others can read this file (mode 640)" in refused.output
    assert "quince" not in refused.output
    profile.chmod(0o600)
    done = serve(profile)
    assert done.exit_code == 0
    assert shown(done.output, "--upstream")[0] == "https://me:***@os:9200"


def test_a_profile_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run(*SERVE, "--profile", str(tmp_path / "none.toml"))
    assert done.exit_code == 2
    assert "expected a profile in TOML, found: [Errno 2]" in done.output


@pytest.mark.parametrize(("text", "words"), [
    ("[serve]\nworkers = 0\n", "'--workers'"),
    ("[serve]\nlog-format = \"xml\"\n", "'--log-format'"),
    ('[serve]\npublish_address = "a b"\n', "'--publish-address'"),
])  # fmt: skip
def test_a_bad_value_is_told_with_its_place(profile: Path, text: str, words: str) -> None:
    profile.write_text(text)
    done = serve(profile)
    assert done.exit_code == 2
    assert words in done.output
    assert f"({profile}, line 2)" in done.output


def test_a_misspelt_shared_key_is_told_without_importing_other_commands(profile: Path) -> None:
    """Their import takes a second."""
    profile.write_text("upstremm = 1\n")
    program = (
        "import sys\n"
        "from plugin.commands.main import main\n"
        "try: main()\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "serve", "--profile", str(profile)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    *message, modules = ended.stderr.splitlines()
    assert "upstremm" in " ".join(message), ended.stderr
    assert "plugin.commands.serve" in modules.split()
    assert "plugin.commands.migrate" not in modules.split()


def test_the_environments_password_comes_before_the_profiles_file(profile: Path) -> None:
    profile.write_text('user = "me"\npassword_file = "none"\n')
    chosen = {"TWINRANK_PROFILE": str(profile), "TWINRANK_UPSTREAM": "http://127.0.0.1:1"}
    assert "none" in run("status", "books", **chosen).output
    done = run("status", "books", **chosen, TWINRANK_PASSWORD="quince")
    assert "127.0.0.1:1 cannot be reached" in done.output


def test_a_user_in_the_url_comes_before_the_profiles_user(profile: Path) -> None:
    profile.write_text('user = "me"\npassword_file = "none"\n')
    url = "http://you:quince@127.0.0.1:1"  # pragma: allowlist secret
    done = run("status", "books", "--upstream", url, TWINRANK_PROFILE=str(profile))
    assert "127.0.0.1:1 cannot be reached" in done.output


def test_a_signature_and_a_user_from_different_sources_are_told_apart(profile: Path) -> None:
    profile.write_text('user = "me"\n')
    done = run("status", "books", TWINRANK_PROFILE=str(profile), TWINRANK_AWS_REGION="eu-central-1")
    assert done.exit_code == 2
    assert f"(--aws-region: TWINRANK_AWS_REGION; --user: {profile}, line 1)" in " ".join(done.output.split())
