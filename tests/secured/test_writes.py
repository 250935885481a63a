"""Writes of users with different rights: what OpenSearch refuses is refused in its words, and not written."""

import json

import pytest

from plugin.harness.proxy_process import running_proxy
from tests.secured.conftest import Secured
from tests.support.http.raw_http import ask
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("only_long")]


def line(**members: object) -> bytes:
    return json.dumps(members).encode() + b"\n"


WRITES: list[tuple[str, str, object]] = [
    ("PUT", "/articles/_doc/0?refresh=true", {"text": "another"}),
    ("POST", "/articles/_update/0", {"doc": {"text": "another"}}),
    ("POST", "/articles/_update/0", {"script": "ctx._source.text = 'another'"}),
    ("PUT", "/articles/_create/0", {"text": "another"}),
    ("POST", "/_bulk", line(update={"_index": "articles", "_id": "0"}) + line(doc={"text": "another"})),
    ("POST", "/articles/_bulk", line(index={"_id": "0"}) + line(text="another")),
    ("DELETE", "/articles/_doc/0", None),
]


@pytest.mark.parametrize("user", ["reader", "nothing", None])
@pytest.mark.parametrize(("method", "target", "body"), WRITES)
def test_who_may_not_write_changes_nothing(
    secured: Secured, user: str | None, method: str, target: str, body: object
) -> None:
    before = secured.admin.get(index="articles", id="0")
    through, straight = (ask_as(user, method, target, body) for ask_as in (secured.through, secured.straight))
    assert through.status == straight.status
    assert without_took(through.body) == without_took(straight.body)
    assert secured.admin.get(index="articles", id="0") == before


def without_took(body: bytes) -> object:
    try:
        found = json.loads(body)
    except ValueError:
        return body
    return {name: value for name, value in found.items() if name != "took"}


@pytest.mark.parametrize("user", ["few-writer", "no-text-writer"])
def test_an_update_by_who_sees_less_than_the_document_is_refused(secured: Secured, user: str) -> None:
    """OpenSearch refuses it, and so does nothing of ours write in its place what was seen of the document."""
    before = secured.admin.get(index="articles", id="0")
    for method, target, body in WRITES[1:3]:
        through, straight = (
            ask_as(user, method, target, body) for ask_as in (secured.through, secured.straight)
        )
        assert b"Update is not supported when FLS or DLS" in straight.body
        assert (through.status, through.body) == (straight.status, straight.body)
    assert secured.admin.get(index="articles", id="0") == before


def test_what_may_be_written_has_its_vector(secured: Secured) -> None:
    for target, body in (("/articles/_doc/w?refresh=true", {"text": "and file"}),
                         ("/articles/_update/w", {"doc": {"text": "and file how"}})):  # fmt: skip
        answer = secured.through("writer", "PUT" if "_doc" in target else "POST", target, body)
        assert answer.status in (200, 201), answer.body
        assert "encoded=1" in answer.headers["rerank-written"]
    assert secured.admin.get(index="articles", id="w")["_source"]["rerank"]["vector"]
    assert b"rerank" not in secured.through("writer", "GET", "/articles/_doc/w").body
    secured.admin.delete(index="articles", id="w", refresh=True)


def test_an_upstream_whose_certificate_nobody_vouches_for_is_not_spoken_to(
    secured: Secured, is_tls: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if not is_tls:
        pytest.skip("this server has no certificate")
    folder = tmp_path_factory.mktemp("untrusting")
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("SSL_CERT_FILE")
        with running_proxy(secured.url, folder, bundle=TINY_BUNDLE) as proxy:
            answer = ask(proxy.url, "GET", "/", headers=secured.headers("admin"))
    assert answer.status == 502
    assert b"certificate" in answer.body
    assert b"OpenSearch Project" not in answer.body
