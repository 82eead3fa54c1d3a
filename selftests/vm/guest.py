# SPDX-License-Identifier: Apache-2.0
"""Programs in the guest, with an interface like that of subprocess."""

import io
import os
import queue
import socket
import subprocess
import threading

from . import protocol
from .protocol import Kind

ENV = {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "HOME": "/root", "WD_HOST": "native",
       "LANG": "C.UTF-8"}


class GuestDied(Exception):
    """The connection to the guest's agent is gone."""


class Stream(io.RawIOBase):
    """Output of a process as a readable raw stream; read() waits for the guest."""

    def __init__(self):
        super().__init__()
        self._pieces, self._rest, self._ended = queue.SimpleQueue(), b"", False

    def put(self, data):
        """The connection's thread calls it with more output; b"" is its end, None: the guest died."""
        self._pieces.put(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._rest and not self._ended:
            piece = self._pieces.get()
            if piece is None:
                self._ended = True
                raise GuestDied("the guest died while a program ran in it")
            self._rest, self._ended = piece, not piece
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class Process:
    """A program that runs in the guest. It has the part of subprocess.Popen that tests need."""

    def __init__(self, agent, channel, argv, text):
        self.args, self.returncode = argv, None
        self._agent, self._channel, self._ended = agent, channel, threading.Event()
        self._failure = None
        self.raw_out, self.raw_err = Stream(), Stream()
        self.stdout, self.stderr = (io.BufferedReader(s) for s in (self.raw_out, self.raw_err))
        if text:
            self.stdout, self.stderr = (io.TextIOWrapper(s, "utf-8", "replace")
                                        for s in (self.stdout, self.stderr))

    def handle(self, kind, payload):
        """The connection's thread calls it with each message. True after the last one."""
        if kind == Kind.OUTPUT:
            self.raw_out.put(payload)
        elif kind == Kind.ERROR:
            self.raw_err.put(payload)
        elif kind == Kind.EXIT:
            killed, value = (int.from_bytes(payload[i:i + 4], "little") for i in (0, 4))
            self.returncode = -value if killed else value
            self._ended.set()
        elif kind == Kind.FAILED:
            number = int.from_bytes(payload[:4], "little")
            self._failure = OSError(number, os.strerror(number), str(self.args[0]))
            self._end()

    def lost(self):
        """The connection's thread calls it if the guest died."""
        if not self._ended.is_set():
            self._failure = GuestDied("the guest died while a program ran in it")
        self.raw_out.put(None)
        self.raw_err.put(None)
        self._ended.set()

    def _end(self):
        self.raw_out.put(b"")
        self.raw_err.put(b"")
        self._ended.set()

    def poll(self):
        """Exit status, or None while the program runs."""
        return self.returncode

    def wait(self, timeout=None):
        """Waits for the exit status; negative: killed by that signal."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(self.args, timeout)
        if self._failure:
            raise self._failure
        return self.returncode

    def send_signal(self, number, group=False):
        """Sends a signal to the program, and with @group also to everything that it started."""
        self._agent.send(protocol.pack(Kind.SIGNAL, self._channel,
                                       protocol.words(number, int(group))))

    def kill(self):
        """Kills the program and its children."""
        self.send_signal(9, group=True)

    def write(self, data):
        """Sends @data to the standard input and ends that."""
        for piece in protocol.input_pieces(self._channel, data):
            self._agent.send(piece)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self._ended.is_set():
            self.kill()
        self._ended.wait(60)


class Agent:
    """The connection to the guest's process 1."""

    def __init__(self, connection):
        self._socket, self._lock = connection, threading.Lock()
        self._processes, self._next = {}, 1
        self.hello, self.died = threading.Event(), threading.Event()
        self.problem = None
        self._thread = threading.Thread(target=self._receive, daemon=True, name="guest agent")
        self._thread.start()

    def _receive(self):
        decoder = protocol.Decoder()
        try:
            while data := self._socket.recv(1 << 16):
                for kind, channel, payload in decoder.feed(data):
                    self._dispatch(kind, channel, payload)
        except (OSError, protocol.ProtocolError) as error:
            self.problem = error
        self.lost()

    def _dispatch(self, kind, channel, payload):
        if kind == Kind.HELLO:
            if payload != protocol.words(protocol.VERSION):
                raise protocol.ProtocolError("the agent speaks another version")
            self.hello.set()
        elif process := self._processes.get(channel):
            process.handle(kind, payload)

    def lost(self):
        """The guest has died: wakes all waiters."""
        self.died.set()
        self.hello.set()
        with self._lock:
            processes = list(self._processes.values())
        for process in processes:
            process.lost()

    def send(self, message):
        """Sends one message. Messages of several threads do not mix."""
        try:
            with self._lock:
                self._socket.sendall(message)
        except OSError as error:
            raise GuestDied(f"no connection to the guest: {error}") from error

    def close(self):
        """Ends the connection and its thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(10)
        self._socket.close()

    def popen(self, argv, env=None, cwd="/", text=True, stdin=b""):
        """Starts a program. @env is added to the guest's environment, @stdin is the whole input."""
        argv = [os.fsencode(a) for a in argv]
        merged = {os.fsencode(k): os.fsencode(v) for k, v in {**ENV, **(env or {})}.items()}
        with self._lock:
            channel, self._next = self._next, self._next + 1
            process = Process(self, channel, [os.fsdecode(a) for a in argv], text)
            self._processes[channel] = process
        if self.died.is_set():
            raise GuestDied("the guest is gone")
        self.send(protocol.start(channel, argv, merged, os.fsencode(cwd)))
        process.write(stdin)
        return process

    def run(self, argv, env=None, cwd="/", text=True, input=None, timeout=None, each_line=None):
        """Like subprocess.run(..., capture_output=True).

        @each_line is called with each line of standard output while the program runs.
        """
        # pylint: disable=redefined-builtin,too-many-arguments
        if text and input is not None:
            input = input.encode()
        process = self.popen(argv, env, cwd, text, input or b"")
        result, threads = {}, []

        def drain(name, stream):
            pieces = []
            try:
                if name == "stdout" and each_line:
                    for line in stream:
                        pieces.append(line)
                        each_line(line)
                else:
                    pieces.append(stream.read())
            except GuestDied:
                pass
            result[name] = ("" if text else b"").join(pieces)

        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            threads.append(threading.Thread(target=drain, args=(name, stream), daemon=True))
            threads[-1].start()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            for thread in threads:
                thread.join(30)
            raise subprocess.TimeoutExpired(process.args, timeout, result.get("stdout"),
                                            result.get("stderr")) from None
        for thread in threads:
            thread.join(timeout)
            if thread.is_alive():
                process.kill()
                raise subprocess.TimeoutExpired(process.args, timeout)
        with self._lock:
            self._processes = {k: v for k, v in self._processes.items() if v is not process}
        return subprocess.CompletedProcess(process.args, process.returncode, result["stdout"],
                                           result["stderr"])
