"""How to reach OpenSearch, according to the options: hosts, certificates, user and signature."""

import logging
import os
import ssl
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from opensearch.client import OpenSearchClient
from opensearch.credentials import basic_authorization, url_with_credentials
from plugin.errors import CommandError
from plugin.http.headers import Headers, read_credentials
from plugin.upstream.aws_signing import Sign, adapt_signature, make_sign
from plugin.upstream.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Upstream, get_first_url
from plugin.upstream.search_client import SearchClient

VARIABLES = {
    "urls": "TWINRANK_UPSTREAM",
    "ca": "TWINRANK_CA",
    "insecure": "TWINRANK_INSECURE",
    "certificate": "TWINRANK_CLIENT_CERT",
    "key": "TWINRANK_CLIENT_KEY",
    "user": "TWINRANK_USER",
    "password": "TWINRANK_PASSWORD",  # pragma: allowlist secret
    "password_file": "TWINRANK_PASSWORD_FILE",  # pragma: allowlist secret
    "aws_region": "TWINRANK_AWS_REGION",
    "aws_service": "TWINRANK_AWS_SERVICE",
}
"""Option -> its environment variable."""

PROFILE_VARIABLE = "TWINRANK_PROFILE"

_log = logging.getLogger("twinrank")


class ConnectionOptionError(CommandError, ValueError):
    """An option of the connection cannot be used: says which, and what was expected."""


@dataclass(frozen=True)
class Connecting:
    """The options of the connection.

    `urls` are separated by commas and may hold user and password; `ca`, `certificate` and `key` are PEM
    files; `aws_region` is None if requests are not signed. `password_file` holds the password in `urls`,
    if it can be read again.
    """

    urls: str = field(repr=False)
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    read_timeout_s: float = READ_TIMEOUT_S
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verifies: bool = True
    aws_region: str | None = None
    aws_service: str = "es"
    password_file: str | None = None

    @property
    def url(self) -> str:
        """The first host's URL, with user and password: commands use this one."""
        return get_first_url(self.urls)

    @property
    def credentials(self) -> Headers:
        """The `Authorization` header of the user, none if there is no user."""
        return read_credentials(self.url)

    def upstream(self) -> Upstream:
        """Return the proxy's connections to OpenSearch; nothing is connected yet.

        Raises:
            ConnectionOptionError: a URL or a file cannot be used.
            AwsError: requests cannot be signed.
        """
        self._warn()
        context, sign = self._context_for(self.urls), self._sign
        try:
            return Upstream(
                self.urls,
                connect_timeout_s=self.connect_timeout_s,
                read_timeout_s=self.read_timeout_s,
                context=context,
                sign=sign,
            )
        except ValueError as error:
            raise ConnectionOptionError(f"--upstream: {error}") from error

    def client(self) -> OpenSearchClient:
        """Return an opensearch-py client for the first host; nothing is connected yet.

        Raises:
            AddressError: its URL cannot be used.
            ConnectionOptionError, AwsError: as `upstream`.
        """
        self._warn()
        sign = None if self._sign is None else adapt_signature(self._sign)
        return OpenSearchClient(self.url, ssl_context=self._context_for(self.url), sign=sign)

    def search_client(self) -> SearchClient:
        """Return a client that searches the first host.

        Raises:
            SearchError: its URL cannot be used.
            ConnectionOptionError, AwsError: as `upstream`.
        """
        self._warn()
        return SearchClient(self.url, context=self._context_for(self.url), sign=self._sign)

    def proxy_client(self, url: str) -> SearchClient:
        """Return a client of the proxy in front, as the same user unless its URL names another.

        It does not sign: the proxy signs the requests that it passes on.

        Raises:
            SearchError: the URL cannot be used.
        """
        self._warn()
        headers = () if basic_authorization(url) else self.credentials
        return SearchClient(url, context=self._context_for(url), headers=headers)

    def environment(self) -> dict[str, str]:
        """Return the environment of a process that connects in the same way.

        It has none of this process's other options, and reads no profile: an empty file is named as its own.
        Any user can read a process's arguments, so they must not hold a URL with a password.
        """
        own = {
            "urls": self.urls,
            "ca": self.ca and str(self.ca.resolve()),
            "certificate": self.certificate and str(self.certificate.resolve()),
            "key": self.key and str(self.key.resolve()),
            "insecure": None if self.verifies else "1",
            "aws_region": self.aws_region,
            "aws_service": self.aws_service,
        }
        others = {name: value for name, value in os.environ.items() if not _is_option(name)}
        chosen = {VARIABLES[name]: value for name, value in own.items() if value}
        return others | chosen | {PROFILE_VARIABLE: os.devnull}

    def reread_password(self) -> "Connecting":
        """Return the connection with the password that its file holds now.

        Raises:
            ConnectionOptionError: the file cannot be used.
        """
        if self.password_file is None:
            return self
        try:
            content = Path(self.password_file).read_bytes()
        except OSError as error:
            raise ConnectionOptionError(f"expected a file with the password, found: {error}") from error
        user = unquote(urlsplit(self.url).username or "")
        urls = set_user(self.urls, user, parse_password(content, self.password_file))
        return replace(self, urls=urls)

    def check(self) -> None:
        """Check that files and signature can be used.

        Raises:
            ConnectionOptionError, AwsError: as `upstream`.
        """
        if self.ca or self.certificate or "https://" in self.urls:
            _ = self._context
        _ = self._sign

    def _context_for(self, urls: str) -> ssl.SSLContext | None:
        return self._context if "https://" in urls else None

    @cached_property
    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:  # ssl.SSLError is one too
            raise ConnectionOptionError(
                f"--ca: expected the certificate of an authority in PEM in {self.ca},"
                f" found {_describe(error)}"
            ) from error
        try:
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            files = " and ".join(str(file) for file in (self.certificate, self.key) if file is not None)
            raise ConnectionOptionError(
                f"--client-cert: expected a certificate and its key in PEM in {files},"
                f" found {_describe(error)}"
            ) from error
        if not self.verifies:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    @cached_property
    def _sign(self) -> Sign | None:
        return None if self.aws_region is None else make_sign(self.aws_region, self.aws_service)

    def _warn(self) -> None:
        if not self.verifies and "https://" in self.urls:
            warn_unverified(os.getpid())


def _describe(error: OSError) -> str:
    """Return what is wrong with a file of certificates."""
    if "NO_CERTIFICATE_OR_CRL_FOUND" in str(error) or "PEM lib" in str(error):
        return "none"
    return f"that it cannot be used: {error}"


def _is_option(variable: str) -> bool:
    """Whether an environment variable is that of an option, of whatever command."""
    return variable.startswith("TWINRANK_") and variable != "TWINRANK_HOME"


@cache
def warn_unverified(process: int) -> None:
    """Warn once in each process that the server's identity is not verified."""
    _log.warning(
        "OpenSearch's certificate is NOT verified (--insecure): anybody in between can read and change"
        " everything, including passwords. Use --ca with the certificate's authority"
    )


def parse_password(content: bytes, file: str) -> str:
    """Return the password in the content of a file, whose name is for the message.

    Raises:
        ConnectionOptionError: it is not one line of UTF-8.
    """
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ConnectionOptionError(f"expected a file with the password, found: {error}") from error
    if len(lines) != 1 or not lines[0]:
        raise ConnectionOptionError(f"expected one line with the password in {file}, found {len(lines)}")
    return lines[0]


def set_user(urls: str, user: str, password: str) -> str:
    """Return comma-separated URLs with this user and password in each."""
    return ",".join(url_with_credentials(url.strip(), user, password) for url in urls.split(","))
