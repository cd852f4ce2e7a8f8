"""
Just enough of the CQL native protocol, version 4, for the tests: frames, and whether a server answers.

A frame is a header of 9 bytes (version, whose top bit marks a reply; flags; stream, 2 bytes; opcode; body length,
4 bytes; all big-endian) and its body.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

HEADER = struct.Struct(">BBhBI")

ERROR, STARTUP, READY, AUTHENTICATE = 0x00, 0x01, 0x02, 0x03
QUERY, RESULT, PREPARE, EXECUTE, BATCH = 0x07, 0x08, 0x09, 0x0A, 0x0D


@dataclass(frozen=True)
class Frame:
    """One request or reply, as it stands on the wire."""

    version: int
    flags: int
    stream: int
    opcode: int
    body: bytes

    def pack(self) -> bytes:
        """Return the bytes to send."""
        return HEADER.pack(self.version, self.flags, self.stream, self.opcode, len(self.body)) + self.body


def receive(connection: socket.socket) -> Frame:
    """Return the next frame; raise ConnectionError where the connection ends first."""
    version, flags, stream, opcode, length = HEADER.unpack(_exactly(connection, HEADER.size))
    return Frame(version, flags, stream, opcode, _exactly(connection, length))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the connection ended inside a frame")
        data += part
    return data


def hail(connection: socket.socket) -> None:
    """Go through the handshake that opens a connection; raise ConnectionError where the server has none for us."""
    option, value = b"CQL_VERSION", b"3.0.0"
    body = struct.pack(f">HH{len(option)}sH{len(value)}s", 1, len(option), option, len(value), value)
    connection.sendall(Frame(4, 0, 0, STARTUP, body).pack())
    if receive(connection).opcode not in (READY, AUTHENTICATE):
        raise ConnectionError("the server did not answer STARTUP with READY")


def answers(host: str, port: int, seconds: float = 2) -> bool:
    """Return whether a server at the address completes the handshake, waiting ``seconds`` for each answer."""
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            hail(connection)
    except OSError:
        return False
    return True
