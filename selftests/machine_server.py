# SPDX-License-Identifier: Apache-2.0
"""A process `wdmachine serve`."""

import select
import signal
import subprocess

from vm import process
from waits import LIMIT_S


class Server:
    """wdmachine serve: sockets in a folder; stderr in a file. It does not outlive the tests."""

    def __init__(self, program, folder, *options):
        self.program, self.folder = program, folder
        self.sockets = folder / "sockets"
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = process.spawn([program, "serve", "--sockets", self.sockets, *options],
                                         stdout=subprocess.PIPE, stderr=log)

    def wait_ready(self):
        """Waits until it serves."""
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT_S)
        assert ready, "wdmachine is not ready"
        line = self.process.stdout.readline()
        assert line == b"ready\n", (line, self.log.read_text())
        return self

    def path(self, address):
        """The socket of the function at @address."""
        return self.sockets / f"{address}.sock"

    def stop(self, how=signal.SIGTERM):
        """Ends it. Returns its exit status; it must not have printed more on stdout."""
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=LIMIT_S)
        assert rest == b""
        return self.process.returncode
