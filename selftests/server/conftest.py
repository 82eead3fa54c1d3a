# SPDX-License-Identifier: Apache-2.0
"""A running wdmachine for each test."""

import select
import signal
import subprocess

import pytest

LIMIT_S = 60


class Server:
    """wdmachine serve: sockets in a folder; stderr in a file."""

    def __init__(self, program, folder, *options):
        self.program, self.folder = program, folder
        self.sockets = folder / "sockets"
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen(
                [program, "serve", "--sockets", self.sockets, *map(str, options)],
                stdout=subprocess.PIPE, stderr=log)

    def wait_ready(self):
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT_S)
        assert ready, "wdmachine is not ready"
        line = self.process.stdout.readline()
        assert line == b"ready\n", (line, self.log.read_text())
        return self

    def path(self, address):
        return self.sockets / f"{address}.sock"

    def stop(self, how=signal.SIGTERM):
        """Exit status; nothing more may have come on stdout."""
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=LIMIT_S)
        assert rest == b""
        return self.process.returncode


@pytest.fixture(name="wdmachine")
def fixture_wdmachine(build):
    """Path of the program."""
    return build / "tools/wdmachine/wdmachine"


@pytest.fixture(name="start")
def fixture_start(wdmachine, tmp_path):
    """Starts servers; the test fails if one has not ended well by itself or by SIGTERM."""
    servers = []

    def run(*options, folder=None):
        server = Server(wdmachine, folder or tmp_path, *options)
        servers.append(server)
        return server
    yield run
    for server in servers:
        if server.process.returncode is None:
            assert server.process.poll() is None, server.log.read_text()
            assert server.stop() == 0, server.log.read_text()


@pytest.fixture(name="server")
def fixture_server(start):
    """The default machine."""
    return start().wait_ready()
