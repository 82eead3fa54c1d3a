# SPDX-License-Identifier: Apache-2.0
"""A vfio-user client that sends raw bytes. It was written from the protocol, not from the server."""

import array
import errno
import fcntl
import json
import os
import socket
import struct

from waits import LIMIT_S  # pylint: disable=import-error

VERSION, DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO = 1, 2, 3, 4, 5
GET_IRQ_INFO, SET_IRQS, REGION_READ, REGION_WRITE, DMA_READ, RESET = 7, 8, 9, 10, 11, 13
CONFIG = 7
COMMAND, REPLY, NO_REPLY, ERROR = 0, 1, 0x10, 0x20
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


def guest_memory(size):
    """Memory like that of QEMU's memory-backend-memfd."""
    fd = os.memfd_create("guest", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    return fd


class Closed(Exception):
    """The server has closed the connection."""


class Refused(Exception):
    """An error reply."""

    def __init__(self, error):
        super().__init__(errno.errorcode.get(error, str(error)))
        self.error = error


class Client:
    """A client. It checks that replies belong to their commands, and keeps requests of the server for later."""

    def __init__(self, path, hello=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(LIMIT_S)
        self.socket.connect(str(path))
        self.id, self.requests = 65530, []
        if hello:
            self.version()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_raw(self, data, fds=()):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.socket.sendmsg([data], control)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send(self, command, body=b"", fds=(), flags=COMMAND):
        self.id = (self.id + 1) & 0xffff
        self.send_raw(struct.pack("<HHIII", self.id, command, 16 + len(body), flags, 0) + body,
                      fds)
        return self.id

    def receive(self):
        """(id, command, flags, error, body, fds) of the next message."""
        try:
            head, control, _, _ = self.socket.recvmsg(16, socket.CMSG_SPACE(64))
        except ConnectionResetError as gone:
            raise Closed from gone
        if not head:
            raise Closed
        assert len(head) == 16, "QEMU wants the header in one piece"
        fds = array.array("i")
        for level, kind, data in control:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        ident, command, size, flags, error = struct.unpack("<HHIII", head)
        body = b""
        while len(body) < size - 16:
            part = self.socket.recv(size - 16 - len(body))
            if not part:
                raise Closed
            body += part
        return ident, command, flags, error, body, list(fds)

    def reply(self, ident, command):
        """(body, fds) of the reply to @ident."""
        while True:
            got, what, flags, error, body, fds = self.receive()
            if flags & 0xf == COMMAND:
                self.requests.append((got, what, body))
                continue
            assert (got, what, flags & 0xf) == (ident, command, REPLY)
            if flags & ERROR:
                assert error and not body and not fds
                raise Refused(error)
            return body, fds

    def call(self, command, body=b"", fds=()):
        return self.reply(self.send(command, body, fds), command)

    def version(self, text='{"capabilities":{"max_msg_fds":16}}'):
        body, _ = self.call(VERSION, struct.pack("<HH", 0, 0) + text.encode() + b"\0")
        assert body[:4] == b"\0\0\0\0" and body[-1:] == b"\0"
        return json.loads(body[4:-1])

    def read(self, region, offset, count):
        body, _ = self.call(REGION_READ, struct.pack("<QII", offset, region, count))
        assert body[:16] == struct.pack("<QII", offset, region, count)
        return body[16:]

    def read_word(self, region, offset, size=4):
        return int.from_bytes(self.read(region, offset, size), "little")

    def write(self, region, offset, data):
        body, _ = self.call(REGION_WRITE, struct.pack("<QII", offset, region, len(data)) + data)
        assert body == struct.pack("<QII", offset, region, len(data))

    def write_word(self, region, offset, value, size=4):
        self.write(region, offset, value.to_bytes(size, "little"))

    def region_info(self, index, argsz=32):
        """(argsz, flags, cap_offset, size, offset, rest, fds)"""
        body, fds = self.call(GET_REGION_INFO, struct.pack("<IIIIQQ", argsz, 0, index, 0, 0, 0))
        full, flags, same, cap, size, offset = struct.unpack("<IIIIQQ", body[:32])
        assert same == index
        return full, flags, cap, size, offset, body[32:], fds

    def map(self, address, size, fd=None, offset=0, flags=3):
        self.call(DMA_MAP, struct.pack("<IIQQQ", 32, flags, offset, address, size),
                  () if fd is None else (fd,))

    def unmap(self, address, size):
        body = struct.pack("<IIQQ", 24, 0, address, size)
        assert self.call(DMA_UNMAP, body)[0] == body

    def set_irqs(self, flags, index, start, count, fds=()):
        self.call(SET_IRQS, struct.pack("<IIIII", 20, flags, index, start, count), fds)

    def capability(self, wanted):
        """Offset in config space."""
        at = self.read_word(CONFIG, 0x34, 1)
        while at:
            found, following = self.read(CONFIG, at, 2)
            if found == wanted:
                return at
            at = following
        raise AssertionError(f"no capability {wanted:#x}")
