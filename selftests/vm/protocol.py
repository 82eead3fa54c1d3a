# SPDX-License-Identifier: Apache-2.0
"""Messages between the runner and the guest's agent. The agent's side is guest/protocol.h."""

import enum
import struct

VERSION = 1
HEADER = struct.Struct("<III")
PAYLOAD_MAX = 1 << 20
INPUT_PIECE = 1 << 16


class Kind(enum.IntEnum):
    """The kind of a message."""
    START = 1
    INPUT = 2
    SIGNAL = 3
    POWER_OFF = 4
    HELLO = 16
    OUTPUT = 17
    ERROR = 18
    EXIT = 19
    FAILED = 20


class ProtocolError(Exception):
    """The other side has broken the protocol."""


def pack(kind, channel=0, payload=b""):
    """One message as bytes."""
    if len(payload) > PAYLOAD_MAX:
        raise ProtocolError(f"{len(payload)} bytes are too many for one message")
    return HEADER.pack(len(payload), channel, kind) + payload


def words(*values):
    """32-bit words of a payload."""
    return struct.pack(f"<{len(values)}I", *values)


def start(channel, argv, env, cwd):
    """Start @argv (list of bytes) with the environment @env (bytes: bytes)."""
    strings = [cwd, *argv, *(k + b"=" + v for k, v in env.items())]
    if any(b"\0" in s for s in strings):
        raise ValueError("embedded null byte")
    return pack(Kind.START, channel,
                words(len(argv), len(env)) + b"".join(s + b"\0" for s in strings))


def input_pieces(channel, data):
    """Messages that carry @data to the standard input, and its end."""
    for at in range(0, len(data), INPUT_PIECE):
        yield pack(Kind.INPUT, channel, data[at:at + INPUT_PIECE])
    yield pack(Kind.INPUT, channel)


class Decoder:
    """Cuts a stream of bytes into messages."""

    def __init__(self):
        self._buffer = bytearray()

    def feed(self, data):
        """Takes more bytes. Yields (kind, channel, payload) of each complete message."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            size, channel, number = HEADER.unpack_from(self._buffer)
            if size > PAYLOAD_MAX:
                raise ProtocolError(f"a message of {size} bytes")
            if len(self._buffer) < HEADER.size + size:
                return
            payload = bytes(self._buffer[HEADER.size:HEADER.size + size])
            del self._buffer[:HEADER.size + size]
            try:
                kind = Kind(number)
            except ValueError:
                raise ProtocolError(f"a message of unknown kind {number}") from None
            yield kind, channel, payload
