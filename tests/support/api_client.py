"""The endpoints beside search, without a server: the Flask app with the tiny bundle."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from werkzeug.test import TestResponse

from plugin.admin.health import Readiness
from plugin.apis.tokens import BearerTokens
from plugin.app import create_app
from plugin.encoding.model import Model
from plugin.settings.cache import SettingsCache
from plugin.telemetry.metrics import Metrics
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from tests.support.paths import TINY_BUNDLE

NO_OPENSEARCH = "http://127.0.0.1:9"
"""These endpoints ask nothing of OpenSearch."""

NO_TOKENS = BearerTokens()

HOSTILE_TEXTS = (
    "", " ", "null", "12", "[1]", '["a"]', '{"a":1}', '"', "\\", "a\nb\tc\u0000", "“quotes” é 中文 🙂",
    "\u2028", "${parameters.documents}", "${parameters.model}", "${credential.key}", "</script>",
    "a" * 20_000, "AQEEAAIA",
)  # fmt: skip
"""Texts that a user may type, and that something on the way may take for something else."""


@cache
def bundle() -> Bundle:
    """Return the tiny bundle."""
    return Bundle.open(TINY_BUNDLE)


@cache
def model() -> Model:
    """Return its query side."""
    return Model.load(bundle())


@dataclass(frozen=True)
class ApiClient:
    """Sends JSON to one app."""

    tokens: BearerTokens = NO_TOKENS

    def post(self, path: str, body: Any, **headers: str) -> TestResponse:  # noqa: ANN401  # any JSON
        """Send `body`, as it is where it is bytes, and return the answer."""
        upstream = Upstream(NO_OPENSEARCH)
        settings, ready = SettingsCache(upstream), Readiness(upstream)
        app = create_app(upstream, model(), settings, self.tokens, Metrics(), ready)
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        return app.test_client().post(path, data=sent, headers=headers)

    def answer(self, path: str, body: Any) -> Any:  # noqa: ANN401
        """Send `body` and return the decoded answer to a request that is answered."""
        answer = self.post(path, body)
        assert answer.status_code == 200, answer.data
        assert answer.content_type == "application/json"
        return json.loads(answer.data)
