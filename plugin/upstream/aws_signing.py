"""Requests signed for Amazon OpenSearch Service (SigV4), by botocore.

opensearch-py's signer is not used: it writes a space in a query as `+`, and AWS does not (seen).

The account is the proxy's own, so anybody who reaches the proxy acts with its rights. A request that has its
own `Authorization` header is sent unchanged.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

from opensearch.client import Sign as ClientSign
from plugin.errors import CommandError, UpstreamError
from plugin.http.headers import Headers
from reranker.extras import missing_package

if TYPE_CHECKING:
    from botocore.credentials import Credentials

MAX_SIGNED_BYTES = 100 * 1024 * 1024
"""The longest body that is signed, since it is read whole first. It is OpenSearch's default limit."""

Sign = Callable[[str, str, Headers, bytes], Headers]
"""Takes method, URL, headers and body, and returns the headers to send."""


class AwsError(CommandError):
    """Requests cannot be signed: says what is missing."""


class TooLongToSignError(UpstreamError):
    """A body that is longer than MAX_SIGNED_BYTES."""

    status = 413
    type_name = "content_too_long_exception"


def make_sign(region: str, service: str) -> Sign:
    """Return a signer with the credentials of the environment, a profile or the host's role.

    Raises:
        AwsError: botocore is not installed, or finds no credentials.
    """
    try:
        from botocore.session import get_session
    except ImportError as error:
        raise AwsError(missing_package("--aws-region", "aws", error)) from error
    credentials = get_session().get_credentials()
    if credentials is None:
        raise AwsError(
            "expected AWS credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), in a"
            " profile or from the host's role, found none"
        )

    def sign(method: str, url: str, headers: Headers, body: bytes) -> Headers:
        if any(name.lower() == "authorization" for name, _ in headers):
            return headers
        return (*headers, *_signature(credentials, region, service, method, url, body))

    return sign


def adapt_signature(sign: Sign) -> ClientSign:
    """Return what signs the requests of the client library, which keeps the headers itself."""

    def headers(method: str, url: str, body: bytes | None) -> dict[str, str]:
        return dict(sign(method, url, (), body or b""))

    return headers


def _signature(
    credentials: "Credentials", region: str, service: str, method: str, url: str, body: bytes
) -> Headers:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    auth = SigV4Auth(
        credentials.get_frozen_credentials(), service, region
    )  # frozen: they may change meanwhile
    address, _, query = url.partition("?")
    parameters = parse_qsl(query, keep_blank_values=True, encoding="latin-1")
    encoded = urlencode(parameters, encoding="latin-1", quote_via=quote, safe="-_.~")  # as AWS spells them
    request = AWSRequest(method, f"{address}?{encoded}" if encoded else address, data=body)
    request.headers["X-Amz-Content-SHA256"] = auth.payload(request)
    auth.add_auth(request)
    return tuple(request.headers.items())


def read_whole(body: Iterable[bytes]) -> bytes:
    """Return a body in one piece, as it has to be in order to be signed.

    Raises:
        TooLongToSignError: it is longer than MAX_SIGNED_BYTES.
    """
    blocks, num_bytes = [], 0
    for block in body:
        num_bytes += len(block)
        check_signable(num_bytes)
        blocks.append(block)
    return b"".join(blocks)


def check_signable(num_bytes: int) -> None:
    """Check that a body of so many bytes can be signed.

    Raises:
        TooLongToSignError: it is longer than MAX_SIGNED_BYTES.
    """
    if num_bytes > MAX_SIGNED_BYTES:
        raise TooLongToSignError(f"expected at most {MAX_SIGNED_BYTES} bytes to sign, found more")
