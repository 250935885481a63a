"""How OpenSearch is reached: hosts, timeouts, certificates and signature, as options of `serve`."""

import logging
import ssl
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from plugin.aws_signing import signed_for
from plugin.options import Command
from plugin.upstream import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Upstream

_log = logging.getLogger("twinrank")


@dataclass(frozen=True)
class Connecting:
    """What the options say.

    `urls` are separated by commas; `ca`, `certificate` and `key` are files in PEM; `aws_region` is None where
    nothing is signed.
    """

    urls: str
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    read_timeout_s: float = READ_TIMEOUT_S
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verifies: bool = True
    aws_region: str | None = None
    aws_service: str = "es"

    def upstream(self) -> Upstream:
        """Return the way to OpenSearch; nothing is connected yet.

        Raises:
            ValueError: a URL or a file cannot be used.
            AwsError: requests cannot be signed.
        """
        return Upstream(
            self.urls,
            connect_timeout_s=self.connect_timeout_s,
            read_timeout_s=self.read_timeout_s,
            context=self._context(),
            sign=None if self.aws_region is None else signed_for(self.aws_region, self.aws_service),
        )

    def _context(self) -> ssl.SSLContext | None:
        if "https://" not in self.urls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one too
            files = [str(file) for file in (self.ca, self.certificate, self.key) if file is not None]
            raise ValueError(f"expected certificates in PEM in {', '.join(files)}, found: {error}") from error
        if not self.verifies:
            _log.warning(
                "OpenSearch's certificate is NOT verified (--upstream-insecure): whoever is in between reads"
                " and changes everything, passwords too. Use --upstream-ca with the certificate's authority"
            )
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPTIONS = (
    click.option(
        "--upstream",
        "urls",
        envvar="TWINRANK_UPSTREAM",
        multiple=True,
        default=("http://127.0.0.1:9200",),
        show_default=True,
        show_envvar=True,
        metavar="URL,...",
        help="The OpenSearch to stand in front of; several hosts by commas or by repeating the option.",
    ),
    click.option(
        "--upstream-connect-timeout",
        "connect_timeout_s",
        type=click.FloatRange(min=0, min_open=True),
        default=CONNECT_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="Longest wait for a connection to a host.",
    ),
    click.option(
        "--upstream-read-timeout",
        "read_timeout_s",
        type=click.FloatRange(min=0, min_open=True),
        default=READ_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="Longest silence of OpenSearch's; then the client is answered 504.",
    ),
    click.option("--upstream-ca", "ca", type=_FILE, help="Certificates to verify https hosts by, in PEM."),
    click.option(
        "--upstream-cert",
        "certificate",
        type=_FILE,
        help="The proxy's own certificate for OpenSearch, in PEM.",
    ),
    click.option("--upstream-key", "key", type=_FILE, help="Its key, where the certificate's file has none."),
    click.option(
        "--upstream-insecure", "insecure", is_flag=True, help="Do NOT verify https hosts. For trials alone."
    ),
    click.option(
        "--aws-region", metavar="REGION", help="Sign requests for Amazon OpenSearch Service (SigV4) there."
    ),
    click.option(
        "--aws-service", default="es", show_default=True, help="What they are signed for: es, or aoss."
    ),
)


def connecting_options(command: Command) -> Command:
    """Add the options, passed as checked `connecting`."""

    @wraps(command)
    def with_connecting(*, urls: tuple[str, ...], insecure: bool, **options: Any) -> Any:  # noqa: ANN401
        names = Connecting.__dataclass_fields__.keys() - {"urls", "verifies"}
        chosen = {name: options.pop(name) for name in names}
        connecting = Connecting(",".join(urls), verifies=not insecure, **chosen)
        try:
            connecting.upstream().close()
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--upstream") from error
        return command(connecting=connecting, **options)

    decorated: Any = with_connecting
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
