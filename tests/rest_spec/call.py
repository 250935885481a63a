"""One API call of a test, as the published descriptions write it in HTTP."""

import http.client
import json
import re
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit


class ParameterError(ValueError):
    """The call lacks what its path needs: the answer that `catch: param` expects."""


@dataclass(frozen=True)
class Answer:
    """What came back; `body` is the parsed JSON, the text, or whether a HEAD found what it asked for."""

    api: str
    status: int
    body: Any
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Caller:
    """Calls APIs at one address, over one connection that is kept."""

    def __init__(self, url: str, apis: Mapping[str, Any]) -> None:
        self._apis = apis
        self._host = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self._host, timeout=120)
        self._opaque_id = ""

    def begin(self) -> None:
        """Begin a test: OpenSearch warns once for each `X-Opaque-Id`, and each run shall see its warnings."""
        self._opaque_id = uuid.uuid4().hex

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(self, api: str, arguments: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        """Call an API by its name.

        Raises:
            ParameterError: no path fits the arguments.
        """
        method, target, body = _request(api, self._apis[api], dict(arguments))
        return self.ask(method, target, body, headers, api)

    def ask(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], api: str = ""
    ) -> Answer:
        """Send one request and read its answer."""
        usual = {"X-Opaque-Id": self._opaque_id} if self._opaque_id else {}
        if body is not None:
            usual["Content-Type"] = "application/json"
        sent = {**usual, **headers}
        try:
            self._connection.request(method, target, body, sent)
            response = self._connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            self._connection.close()  # so that the next call begins anew
            raise
        kept = {name.lower(): value for name, value in response.getheaders()}
        warnings = tuple(
            found[1].replace('\\"', '"')
            for line in response.headers.get_all("Warning") or ()
            if (found := re.search(r'^299 \S+ "((?:[^"\\]|\\.)*)"', line))
        )
        return Answer(
            api, response.status, _parsed(method, response.status, kept, text), text, kept, warnings
        )


def _request(
    api: str, description: Mapping[str, Any], arguments: dict[str, Any]
) -> tuple[str, str, bytes | None]:
    body = arguments.pop("body", None)
    given = {name for name, value in arguments.items() if value is not None}
    paths = [path for path in description["url"]["paths"] if set(path.get("parts", ())) <= given]
    required = {name for name, each in description.get("params", {}).items() if each.get("required")}
    if (
        not paths
        or not required <= given
        or (body is None and (description.get("body") or {}).get("required"))
    ):
        raise ParameterError(f"{api} with {sorted(given)}")
    chosen = max(paths, key=lambda path: len(path.get("parts", ())))
    path = chosen["path"]
    for part in chosen.get("parts", ()):
        path = path.replace("{" + part + "}", quote(_plain(arguments.pop(part)), safe=",*"))
    query = urlencode({name: _plain(value) for name, value in arguments.items()})
    # a GET with a body and a POST mean the same: which of them is chosen at random, but for both sides alike
    methods = [method for method in chosen["methods"] if body is None or method != "HEAD"]
    at = zlib.crc32(f"{path}?{query}".encode()) % len(methods)
    return methods[at], path + ("?" + query if query else ""), _content(body)


def _plain(value: Any) -> str:  # noqa: ANN401  # any YAML value
    if isinstance(value, list):
        return ",".join(_plain(each) for each in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _content(body: Any) -> bytes | None:  # noqa: ANN401
    if body is None or isinstance(body, str):
        return body.encode() if body is not None else None
    if isinstance(body, list):
        lines = [line if isinstance(line, str) else json.dumps(line) for line in body]
        return "".join(line.rstrip("\n") + "\n" for line in lines).encode()
    return json.dumps(body).encode()


def _parsed(method: str, status: int, headers: Mapping[str, str], text: str) -> Any:  # noqa: ANN401
    if method == "HEAD":
        return status < 400
    return json.loads(text) if "json" in headers.get("content-type", "") and text else text
