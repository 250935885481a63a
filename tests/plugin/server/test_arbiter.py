"""A port is shut: what was connected is there to take, and nothing is connected anew."""

import socket
import sys

import pytest

from plugin.server.arbiter import drop_new_handshakes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops handshakes")
@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_handshake_is_dropped_and_what_was_made_is_answered(
    family: socket.AddressFamily, host: str
) -> None:
    if family == socket.AF_INET6 and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with socket.create_server((host, 0), family=family) as listener:
        address = listener.getsockname()[:2]
        with socket.create_connection(address, timeout=5) as early:
            drop_new_handshakes(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.3)
            taken, _ = listener.accept()
            with taken:
                early.sendall(b"asked")
                assert taken.recv(10) == b"asked"
                taken.sendall(b"answered")
                assert early.recv(10) == b"answered"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


def test_another_kind_of_socket_is_left_as_it_is() -> None:
    left, right = socket.socketpair()
    with left, right:
        drop_new_handshakes(left)
        left.sendall(b"x")
        assert right.recv(1) == b"x"
