"""How long a request waited for a thread: kept on its body, read into its context."""

import socket
import time
from io import BytesIO

from plugin.http.messages import Request
from plugin.http.request_queue import RequestQueue, keep_queued_s, read_queued_s


class Body(BytesIO):
    """A body that takes attributes, as gunicorn's does."""


def test_a_request_waits_until_a_thread_starts_it() -> None:
    queue, before_s = RequestQueue(), time.monotonic()
    assert before_s <= queue.add() <= time.monotonic()
    queue.add()
    queue.remove()
    assert queue.length == 1


def test_a_request_that_did_not_wait_was_not_queued() -> None:
    assert read_queued_s(BytesIO()) == 0


def test_a_context_has_the_wait_and_the_connection_of_its_request() -> None:
    body = Body(b"{}")
    keep_queued_s(body, 0.25)
    client, other = socket.socketpair()
    with client, other:
        environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/", "wsgi.input": body, "gunicorn.socket": client}
        request = Request.from_environ(environ)
        assert (request.context.queued_s, request.context.client) == (0.25, client)
        finished = request.without_client()
        assert (finished.context.queued_s, finished.context.client) == (0.25, None)
        assert finished.context.stages is request.context.stages, "spans show what is finished too"
