"""The secured server with two reranked indices, users of different rights, and the proxies in front."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from tests.secured.server import ADMIN_PASSWORD, SecuredServer, secured_server
from tests.support.http.raw_http import RawAnswer, ask, basic
from tests.support.indices.toy_index import ToyIndex, make_toy_index
from tests.support.java_options import QUICK_START
from tests.support.paths import TINY_BUNDLE

JSON = {"Content-Type": "application/json"}

_READ = ["indices:data/read*", "indices:admin/get"]
_WRITE = [*_READ, "indices:data/write*", "indices:admin/mapping/put", "indices:admin/refresh*"]


def _role(patterns: list[str], actions: list[str], cluster: list[str] | None = None, **more: Any) -> Any:  # noqa: ANN401
    on_indices = {"index_patterns": patterns, "allowed_actions": actions, **more}
    return {"cluster_permissions": cluster or ["cluster_composite_ops"], "index_permissions": [on_indices]}


ROLES = {
    "reader": _role(["articles"], _READ),
    "blind": _role(["articles"], ["indices:data/read*"]),
    "few": _role(["articles"], _READ, dls=json.dumps({"range": {"n": {"lt": 40}}})),
    "no-vectors": _role(["articles"], _READ, fls=["~rerank*"]),
    "no-text": _role(["articles"], _READ, fls=["~text"]),
    "few-writer": _role(["articles"], _WRITE, dls=json.dumps({"range": {"n": {"lt": 40}}})),
    "no-text-writer": _role(["articles"], _WRITE, fls=["~text"]),
    "writer": _role(["articles", "notes*"], _WRITE),
    "service": _role(["*"], ["indices:admin/get"], ["cluster:monitor/state"]),
    "nothing": _role(["nothing-of-this-name"], _READ),
    "one-command": _role(["nothing-of-this-name"], _READ),
}
"""Each is the role of a user of the same name."""


@dataclass(frozen=True)
class Secured:
    """The server, and who may what on it: `articles` and `private` are alike and reranked, `plain` is not."""

    server: SecuredServer
    url: str
    proxy_url: str
    proxy_log: Path
    admin: OpenSearch
    articles: ToyIndex

    def password(self, user: str) -> str:
        """Return a user's password: unlike the name, as the plugin wants it."""
        other = hashlib.sha256(user.encode()).hexdigest()
        return ADMIN_PASSWORD if user == "admin" else f"Xk7-{other[:20]}"

    def headers(self, user: str) -> dict[str, str]:
        return basic(user, self.password(user)) | JSON

    def url_as(self, user: str, url: str = "") -> str:
        """Return the server's URL with a user in it, as commands take it."""
        scheme, _, rest = (url or self.url).partition("://")
        return f"{scheme}://{user}:{self.password(user)}@{rest}"

    def through(self, user: str | None, method: str, target: str, body: object = None) -> RawAnswer:
        """Ask through the proxy; None has no password."""
        return self._ask(self.proxy_url, user, method, target, body)

    def straight(self, user: str | None, method: str, target: str, body: object = None) -> RawAnswer:
        """Ask OpenSearch itself."""
        return self._ask(self.url, user, method, target, body)

    def search(self, user: str, index: str = "articles", **more: Any) -> RawAnswer:  # noqa: ANN401
        return self.through(user, "POST", f"/{index}/_search", {"query": self.articles.query, **more})

    def set_role(self, name: str, role: object) -> None:
        answer = self.straight("admin", "PUT", f"/_plugins/_security/api/roles/{name}", role)
        assert answer.status in (200, 201), answer.body

    def _ask(self, url: str, user: str | None, method: str, target: str, body: object) -> RawAnswer:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return ask(url, method, target, data, JSON if user is None else self.headers(user))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With --long the whole suite runs on a server without TLS too."""
    if "is_tls" in metafunc.fixturenames:
        both = [True, False] if metafunc.config.getoption("--long") else [True]
        metafunc.parametrize(
            "is_tls", both, ids=["tls" if each else "plain" for each in both], scope="session", indirect=True
        )


@pytest.fixture
def only_long(is_long: bool) -> None:
    """Leave a test to `--long`: the short form is the searches, over TLS."""
    if not is_long:
        pytest.skip("runs with pytest --long, as make test-native and make test-all do")


@pytest.fixture(scope="session")
def is_tls(request: pytest.FixtureRequest) -> bool:
    """Whether the server speaks TLS."""
    return bool(request.param)


@pytest.fixture(scope="session")
def secured(is_tls: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Yield the running server with indices and users, and a proxy whose settings a service account polls."""
    folder = Path(tempfile.mkdtemp(prefix="twinrank-secured-"))
    folder.chmod(0o755)
    server = replace(secured_server(folder / "server", is_tls=is_tls), java_options=QUICK_START)
    logs = tmp_path_factory.mktemp("proxy")
    with pytest.MonkeyPatch.context() as environment:
        url = server.start()
        try:
            environment.setenv("SSL_CERT_FILE", str(server.authority))  # whom commands and proxies trust
            with OpenSearch(url, http_auth=("admin", ADMIN_PASSWORD), timeout=60) as admin:
                bundle = Bundle.open(TINY_BUNDLE)
                articles = make_toy_index(admin, url, bundle, "articles")
                make_toy_index(admin, url, bundle, "private", 10)
                admin.index(index="plain", id="1", body={"text": "a plain one"}, refresh=True)
                ready = Secured(server, url, "", logs / "proxy.log", admin, articles)
                _make_users(ready)
                with running_proxy(ready.url_as("service"), logs, bundle=TINY_BUNDLE) as proxy:
                    yield replace(ready, proxy_url=proxy.url)
        finally:
            server.stop()
    shutil.rmtree(folder)


def _make_users(secured: Secured) -> None:
    # the demo gives everybody the rights of `cluster_composite_ops` by this one
    answer = secured.straight("admin", "DELETE", "/_plugins/_security/api/rolesmapping/own_index")
    assert answer.status == 200, answer.body
    for kind, members in (
        ("roles", ROLES),
        ("internalusers", {
            name: {"password": secured.password(name), "opendistro_security_roles": [name]} for name in ROLES
        }),
    ):  # fmt: skip
        changes = [{"op": "add", "path": f"/{name}", "value": value} for name, value in members.items()]
        answer = secured.straight("admin", "PATCH", f"/_plugins/_security/api/{kind}", changes)
        assert answer.status == 200, answer.body
