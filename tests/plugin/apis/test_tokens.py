"""Bearer tokens: who is let in, and the 401 of each API."""

import json
from pathlib import Path

import pytest

from plugin.apis.routes import API_PATHS
from plugin.apis.tokens import BearerTokens
from plugin.errors import CommandError
from tests.support.api_client import ApiClient

FIRST, SECOND = "a" * 16, "second-token-0123456789"


@pytest.fixture
def tokens(tmp_path: Path) -> BearerTokens:
    file = tmp_path / "tokens"
    file.write_text(f"# the old one\n{FIRST}\n\n{SECOND} \n")
    return BearerTokens.read(file)


@pytest.mark.parametrize("header", [f"Bearer {FIRST}", f"bearer  {SECOND}"])
def test_each_token_is_accepted(tokens: BearerTokens, header: str) -> None:
    assert tokens.accept(header)


@pytest.mark.parametrize("header", [
    "", "Bearer", "Bearer ", FIRST, f"Basic {FIRST}", f"Bearer {FIRST}x", f"Bearer {FIRST[1:]}",
    "Bearer # the old one", "Bearer é\udc80",
])  # fmt: skip
def test_nothing_else_is(tokens: BearerTokens, header: str) -> None:
    assert not tokens.accept(header)


def test_without_tokens_everybody_may_call() -> None:
    assert BearerTokens().accept("")


@pytest.mark.parametrize("path", sorted(API_PATHS))
def test_a_401_has_the_apis_shape(tokens: BearerTokens, path: str) -> None:
    client = ApiClient(tokens)
    refused = client.post(path, {}, Authorization="Bearer wrong")
    body = json.loads(refused.data)
    message = body.get("message") or body["error"]
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="twinrank"'
    assert "expected a valid token" in json.dumps(message)
    assert FIRST not in json.dumps(body)
    assert client.post(path, {}, Authorization=f"Bearer {SECOND}").status_code == 422


@pytest.mark.parametrize(("content", "says"), [
    ("", "at least one token"), ("short\n", "at least 16 ASCII"),
    ("has a space in it, long\n", "without spaces"),
    (f"{FIRST}\nénough-characters-here\n", "as token 2"),
])  # fmt: skip
def test_a_file_that_protects_nothing_is_refused(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(content)
    with pytest.raises(CommandError, match=says):
        BearerTokens.read(file)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"expected bearer tokens, one per line, in .*missing"):
        BearerTokens.read(tmp_path / "missing")
