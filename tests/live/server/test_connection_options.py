"""How every command reaches a secured OpenSearch: certificates, users, passwords that nobody sees."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch

from plugin.commands.connection import open_client
from plugin.commands.main import main
from plugin.harness.proxy_process import free_port, running_proxy
from plugin.upstream.connecting import VARIABLES, Connecting
from tests.support.command_tree import EVERY
from tests.support.http.guarded_relay import PASSWORD, USER, Guard, guarded
from tests.support.http.tls_relay import Certificates, make_certificates, tls_relay
from tests.support.other_bundle import other_bundle
from tests.support.paths import ROOT, TINY_BUNDLE
from tests.support.sync_run import make_index
from tests.support.waiting import until

BUNDLE = ("--bundle", str(TINY_BUNDLE))
OPTIONS = {"--upstream", "--ca", "--insecure", "--client-cert", "--client-key", "--user", "--password-file",
           "--aws-region", "--aws-service"}  # fmt: skip
NO_INDEX = re.compile(r"no index 'not-there'|no such index \[not-there\]")
"""OpenSearch's answer, as commands show it: so it was reached, and knew the user."""

ALONE = {"check", "demo", "opensearch"}
"""Commands that talk to no OpenSearch but one that they start."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("password") / "password"
    file.write_text(PASSWORD + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def guard(opensearch_url: str, certificates: Certificates) -> Iterator[Guard]:
    with guarded(opensearch_url, certificates) as running:
        yield running


@pytest.fixture(scope="module")
def secured(guard: Guard, certificates: Certificates, password_file: Path) -> list[str]:
    """Return the options that are needed to be answered."""
    return ["--upstream", guard.https_url, "--ca", str(certificates.ca), "--user", USER,
            "--password-file", str(password_file)]  # fmt: skip


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env=environment)


@pytest.mark.parametrize("name", [name for name in EVERY if name.split()[0] not in ALONE])
def test_every_command_that_talks_to_opensearch_has_every_option(name: str) -> None:
    found = {each for option in EVERY[name].params for each in option.opts}
    assert found >= OPTIONS
    variables = {str(option.envvar) for option in EVERY[name].params if option.envvar}
    assert variables >= set(VARIABLES.values()) - {"TWINRANK_PASSWORD"}


def test_every_variable_is_shown_in_the_help() -> None:
    shown = run("status", "--help").output
    assert all(variable in shown for variable in VARIABLES.values())


def test_the_former_names_of_serve_still_hold() -> None:
    names = {each for option in EVERY["serve"].params for each in option.opts}
    assert names >= {"--upstream-ca", "--upstream-cert", "--upstream-key", "--upstream-insecure"}


@pytest.mark.live
@pytest.mark.parametrize("arguments", [
    ["enable", "{index}", "--field", "text", *BUNDLE],
    ["index", "{index}", "{documents}", *BUNDLE],
    ["status", "{index}", *BUNDLE],
    ["settings", "{index}"],
    ["sync", "{index}", *BUNDLE],
    ["verify", "{index}", *BUNDLE],
    ["explain", "{index}", "and file", *BUNDLE],
    ["migrate", "{index}", "--to", "{other}"],
    ["tune", "{index}", "--queries", "{queries}", "--qrels", "{qrels}", *BUNDLE],
    ["native", "uninstall", "{index}"],
    ["disable", "{index}", "--strip"],
], ids=lambda arguments: " ".join(arguments[:2]))  # fmt: skip
def test_every_command_is_answered_over_tls_as_its_user(
    client: OpenSearch,
    index_name: str,
    secured: list[str],
    guard: Guard,
    tmp_path: Path,
    arguments: list[str],
) -> None:
    make_index(client, index_name)
    client.bulk(
        index=index_name, refresh=True,
        body=[line for n in range(12) for line in ({"index": {"_id": str(n)}}, {"text": f"and file {n}"})],
    )  # fmt: skip
    guard.refused.clear()
    guard.answered.clear()
    done = run(*_filled(arguments, index_name, tmp_path), *secured)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    assert "Error" not in done.output or arguments[0] in ("tune", "native"), done.output
    assert (guard.refused, guard.answered != []) == ([], True)


def _filled(arguments: Sequence[str], index: str, folder: Path) -> list[str]:
    files = {
        "documents": '{"_id": "a", "text": "and file"}\n',
        "queries": "".join(f'{{"_id": "q{n}", "text": "and file {n}"}}\n' for n in range(12)),
        "qrels": "query-id\tcorpus-id\tscore\n" + "".join(f"q{n}\t{n}\t1\n" for n in range(12)),
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    places = {name: str(folder / name) for name in files} | {"index": index}
    if "{other}" in arguments:
        places["other"] = str(other_bundle(folder / "other").path)
    return [each.format(**places) for each in arguments]


@pytest.mark.live
def test_by_the_environment(
    guard: Guard, certificates: Certificates, password_file: Path, opensearch_url: str
) -> None:
    said = {"TWINRANK_UPSTREAM": guard.https_url, "TWINRANK_CA": str(certificates.ca), "TWINRANK_USER": USER}
    for secret in ({"TWINRANK_PASSWORD_FILE": str(password_file)}, {"TWINRANK_PASSWORD": PASSWORD}):
        assert NO_INDEX.search(run("settings", "not-there", **said, **secret).output)
    insecure = said | {"TWINRANK_INSECURE": "1", "TWINRANK_CA": "", "TWINRANK_PASSWORD": PASSWORD}
    assert NO_INDEX.search(run("settings", "not-there", **insecure).output)


@pytest.mark.live
def test_by_a_profile_in_its_usual_place(guard: Guard, certificates: Certificates, tmp_path: Path) -> None:
    folder = tmp_path / "twinrank"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(certificates.ca.read_bytes())
    (folder / "account").write_text(f"{PASSWORD}\n", encoding="utf-8")
    (folder / "profile.toml").write_text(
        f'upstream = "{guard.https_url}"\nca = "ca.pem"\nuser = "{USER}"\n'
        'password_file = "account"\n'  # pragma: allowlist secret
    )
    usual = {"XDG_CONFIG_HOME": str(tmp_path), "TWINRANK_PROFILE": ""}
    assert NO_INDEX.search(run("settings", "not-there", **usual).output)
    other = run("settings", "not-there", **usual, TWINRANK_UPSTREAM=guard.url).output
    assert NO_INDEX.search(other), "the environment comes before the profile, which still has the user"


@pytest.mark.live
def test_search_asks_the_proxy_as_the_same_user_and_neither_process_shows_a_password(
    guard: Guard, secured: list[str], certificates: Certificates, client: OpenSearch, index_name: str,
    opensearch_url: str, tmp_path: Path,
) -> None:  # fmt: skip
    """The proxy stands in front of the guard, so a search without the user would be a 401 there."""
    make_index(client, index_name)
    client.index(index=index_name, id="1", body={"text": "and file"}, refresh=True)
    connecting = Connecting(_url_of_user(guard.https_url), ca=certificates.ca)
    arguments = ["--workers", "1", "--sync", index_name]
    with running_proxy(connecting, tmp_path, bundle=TINY_BUNDLE, arguments=arguments) as proxy:
        guard.refused.clear()
        done = run("search", index_name, "file", "--field", "text", *secured, "--proxy", proxy.url)
        assert done.exit_code == 0, done.output
        assert guard.refused == []
        assert "Gr" not in _arguments_of(proxy.child.pid)
        other = proxy.url.replace("//", "//somebody:else@")
        refused = run("search", index_name, "file", *secured, "--proxy", other)
    assert (refused.exit_code, "401" in refused.output, "--user" in refused.output) == (1, True, True)


def _url_of_user(url: str) -> str:
    from opensearch.credentials import url_with_credentials

    return url_with_credentials(url, USER, PASSWORD)


def _arguments_of(pid: int) -> str:
    """Return the arguments of a process and of its children: a worker, and the sync beside it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return "".join(Path(f"/proc/{each}/cmdline").read_text() for each in (str(pid), *children))


@pytest.mark.live
@pytest.mark.parametrize("command", ["status", "search"])
def test_an_authority_that_is_not_known_names_the_option(guard: Guard, command: str) -> None:
    arguments = ["books", "text"] if command == "search" else ["books", *BUNDLE]
    done = run(command, *arguments, "--upstream", guard.https_url)
    assert done.exit_code == 1
    assert "--ca FILE" in done.output
    assert "--insecure for a trial" in done.output
    assert "Check that it runs" not in done.output


@pytest.mark.live
def test_a_certificate_of_another_host_is_said_in_another_way(
    opensearch_url: str, certificates: Certificates
) -> None:
    with tls_relay(opensearch_url, certificates, name="elsewhere.example.org") as url:
        done = run("settings", "books", "--upstream", url, "--ca", str(certificates.ca))
    assert "another host than the URL names" in done.output


@pytest.mark.live
@pytest.mark.parametrize("name", ["settings", "search"])
def test_a_client_certificate_is_asked_for_by_its_option(
    opensearch_url: str, certificates: Certificates, name: str
) -> None:
    arguments = [name, "not-there", *(["text"] if name == "search" else [])]
    with tls_relay(opensearch_url, certificates, asks_client=True) as url:
        where = [*arguments, "--upstream", url, "--ca", str(certificates.ca)]
        assert "--client-cert" in run(*where).output
        own = ["--client-cert", str(certificates.certificate), "--client-key", str(certificates.key)]
        assert NO_INDEX.search(run(*where, *own).output)


@pytest.mark.live
@pytest.mark.parametrize("name", ["settings", "search"])
def test_http_to_a_port_of_https_and_the_reverse(guard: Guard, name: str) -> None:
    arguments = [name, "books", *(["text"] if name == "search" else [])]
    spoken = run(*arguments, "--upstream", guard.https_url.replace("https:", "http:")).output
    assert "It speaks TLS there: use https://" in spoken
    spoken = run(*arguments, "--upstream", guard.url.replace("http:", "https:")).output
    assert "It speaks plain HTTP there: use http://" in spoken


@pytest.mark.live
@pytest.mark.parametrize("options", [[], ["--user", "nobody"]])
def test_a_refusal_names_user_and_password(guard: Guard, options: list[str]) -> None:
    for command in (["settings", "books"], ["search", "books", "text"]):
        done = run(*command, "--upstream", guard.url, *options, TWINRANK_PASSWORD="wrong" if options else "")
        assert (done.exit_code, "401" in done.output) == (1, True)
        assert "--user NAME" in done.output
        assert "--password-file FILE" in done.output


@pytest.mark.live
def test_a_user_in_the_url_still_counts_and_takes_a_password_from_elsewhere(
    guard: Guard, password_file: Path
) -> None:
    assert NO_INDEX.search(run("settings", "not-there", "--upstream", _url_of_user(guard.url)).output)
    named = guard.url.replace("//", f"//{USER}@")
    with_file = run("settings", "not-there", "--upstream", named, "--password-file", str(password_file))
    assert NO_INDEX.search(with_file.output)


@pytest.mark.live
def test_the_password_by_standard_input(guard: Guard) -> None:
    arguments = ["settings", "not-there", "--upstream", guard.url, "--user", USER, "--password-file", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "plugin", *arguments],
        cwd=ROOT, input=PASSWORD.encode() + b"\n", capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert NO_INDEX.search(done.stderr.decode())


@pytest.mark.live
def test_a_hang_up_reads_the_password_file_again(
    opensearch_url: str, certificates: Certificates, client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    """The proxy's own account goes on with the new password, and so does the sync beside it."""
    make_index(client, index_name)
    file = tmp_path / "password"
    file.write_text(PASSWORD, encoding="utf-8")
    arguments = ["--user", USER, "--password-file", str(file), "--sync", index_name]
    with (
        guarded(opensearch_url, certificates) as guard,
        running_proxy(guard.url, tmp_path, bundle=TINY_BUNDLE, arguments=arguments) as proxy,
    ):
        until(lambda: _asked_by(guard, index_name))
        file.write_text("two\nlines", encoding="utf-8")
        proxy.child.send_signal(signal.SIGHUP)
        until(lambda: "not reloaded" in (tmp_path / "proxy.log").read_text())
        file.write_text("the next one", encoding="utf-8")
        guard.password = "the next one"  # pragma: allowlist secret
        guard.answered.clear()
        proxy.child.send_signal(signal.SIGHUP)
        until(lambda: _asked_by(guard, index_name))
    assert "the next one" not in (tmp_path / "proxy.log").read_text()


def _asked_by(guard: Guard, index: str) -> bool:
    """Whether both the poller of the settings and the sync of an index were answered."""
    asked = guard.answered.copy()
    polled = any(path.startswith("/_cluster/state") for path in asked)
    return polled and any(path.startswith(f"/{index}/") for path in asked)


@pytest.mark.live
def test_the_password_is_asked_for_at_a_terminal(guard: Guard) -> None:
    arguments = ["settings", "not-there", "--upstream", guard.url, "--user", USER]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "plugin", *arguments])  # noqa: S606
    shown = b""
    while b"Password of shop at localhost: " not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, PASSWORD.encode() + b"\n")
    try:
        while block := os.read(terminal, 1024):
            shown += block
    except OSError:  # the other side has closed it
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    assert NO_INDEX.search(shown.decode())
    assert PASSWORD.encode() not in shown


def test_no_terminal_to_ask_at_is_said() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plugin", "settings", "books", "--user", USER],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, start_new_session=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Give --password-file FILE or TWINRANK_PASSWORD" in done.stderr


@pytest.mark.parametrize(("options", "words"), [
    (["--user", "admin:secret"], "never from the command line"),
    (["--password-file", "/nowhere"], "--user NAME"),
    (["--user", "admin", "--password-file", "/nowhere"], "found: [Errno 2]"),
    (["--user", "admin", "--password-file", "{empty}"], "expected one line with the password"),
    (["--user", "admin", "--password-file", "{two}"], "expected one line with the password"),
    (["--client-key", "{two}"], "--client-cert FILE"),
    (["--ca", "{two}"], "--ca: expected the certificate of an authority in PEM in"),
    (["--client-cert", "{two}"], "--client-cert: expected a certificate and its key in PEM in"),
    (["--user", "admin", "--aws-region", "eu-central-1"], "found both"),
    (["--upstream", "localhost:9200"], "expected the URL of OpenSearch"),
])  # fmt: skip
def test_what_cannot_be_used_is_said(tmp_path: Path, options: list[str], words: str) -> None:
    files = {"empty": "", "two": "one\nanother\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    filled = [each.format(**{name: str(tmp_path / name) for name in files}) for each in options]
    done = run("settings", "books", *filled)
    assert done.exit_code in (1, 2)
    assert words in done.output
    assert "secret" not in done.output


def test_a_process_that_is_started_connects_in_the_same_way(certificates: Certificates) -> None:
    connecting = Connecting("http://a:b@localhost", ca=certificates.ca, verifies=False, aws_region="x")
    found = connecting.environment()
    assert found["TWINRANK_UPSTREAM"] == "http://a:b@localhost"
    assert (found["TWINRANK_CA"], found["TWINRANK_INSECURE"]) == (str(certificates.ca), "1")
    assert found["TWINRANK_AWS_REGION"] == "x"
    assert "b@" not in repr(connecting)


def test_a_process_that_is_started_knows_nothing_of_another_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in VARIABLES.values():
        monkeypatch.setenv(variable, "of another cluster")
    found = Connecting("http://localhost:1").environment()
    assert {name: found[name] for name in VARIABLES.values() if name in found} == {
        "TWINRANK_UPSTREAM": "http://localhost:1",
        "TWINRANK_AWS_SERVICE": "es",
    }


def test_a_process_that_is_started_has_no_other_option_and_reads_no_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the proxy of `evaluate` would listen, or answer over TLS, as the user's own one does."""
    for variable in ("TWINRANK_LISTEN", "TWINRANK_CERTFILE", "TWINRANK_PROFILE", "TWINRANK_HOME"):
        monkeypatch.setenv(variable, "/somewhere")
    found = Connecting("http://localhost:1").environment()
    assert "TWINRANK_LISTEN" not in found
    assert "TWINRANK_CERTFILE" not in found
    assert found["TWINRANK_PROFILE"] == os.devnull
    assert found["TWINRANK_HOME"] == "/somewhere"


def test_a_path_in_the_url_is_refused_in_words_where_it_cannot_be_used() -> None:
    """`explain` goes the proxy's way, which has no prefix; it was a traceback."""
    done = run("explain", "books", "text", "--upstream", f"http://127.0.0.1:{free_port()}/prefix", *BUNDLE)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)


@pytest.mark.live
def test_a_client_of_the_first_of_several_hosts(opensearch_url: str) -> None:
    with open_client(Connecting(f"{opensearch_url},http://127.0.0.1:1")) as upstream:
        assert "version" in upstream.request("GET", "/")
