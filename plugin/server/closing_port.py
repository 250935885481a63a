"""Shutting a port that several processes listen on, so that no connection that was made is lost.

What is in the queue of a port when its last holder closes it is reset. Between the last look into the queue
and the closing, clients that were just told to come again can connect. So the handshakes that begin are
dropped first, the queue is emptied, and then it is closed: a client whose handshake was dropped tries again
by itself after a second, and is refused then, which sends it to another address.
"""

import ctypes
import socket
import struct
import sys
from contextlib import suppress

_SO_ATTACH_FILTER = 26
"""<asm-generic/socket.h>; Python has no name for it."""

_FLAGS, _SYN, _SYN_ACK = 13, 0x02, 0x12
"""The place of a TCP header's flags, and of those SYN alone and SYN or ACK."""

_LOAD_BYTE, _AND, _IF_EQUAL, _RETURN = 0x30, 0x54, 0x15, 0x06
_BEGINNINGS_DROPPED = (
    (_LOAD_BYTE, 0, 0, _FLAGS),
    (_AND, 0, 0, _SYN_ACK),
    (_IF_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, 0xFFFFFFFF),
)
"""Classic BPF, as `man 4 bpf` has it: a packet that begins a handshake is dropped, all others pass."""


def begin_no_more(listener: socket.socket) -> None:
    """Have the system drop every handshake that begins from now on, for all who hold this TCP socket.

    Only Linux can; elsewhere, or for another kind of socket, nothing happens.
    """
    if sys.platform != "linux" or listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _BEGINNINGS_DROPPED)
    held = ctypes.create_string_buffer(code, len(code))  # must live until the call returns
    program = struct.pack("HP", len(_BEGINNINGS_DROPPED), ctypes.addressof(held))
    with suppress(OSError):  # a kernel without it: the port is shut as anywhere else
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
