# SPDX-License-Identifier: Apache-2.0
"""What a sleeping guest (ACPI S3) needs: a waker on the host, and a script in the guest."""

import contextlib
import json
import socket
import threading

# The module does what this machine's firmware forgets. Without it, after the sleep nobody can reach the
# functions' capabilities for address translation, nor switch the machine off.
SLEEP = """
set -e
modprobe wd_chipset_test
echo mem >/sys/power/state
"""


def qemu_arguments(path):
    """Arguments for QEMU, so that a Waker can use the socket @path. The kernel needs no_console_suspend."""
    return ("-qmp", f"unix:{path},server=on,wait=off")


def complaints(console):
    """The kernel's messages, without those of a known fault of Linux 6.1: when interrupt links come back, it
    allocates memory. For that it needs random numbers, and for these it reads a clock that still sleeps."""
    return [text for text in console.problems()
            if not ("crng_make_state" in text and "acpi_pci_link_set" in text)]


class Waker(threading.Thread):
    """Wakes the guest each time that it sleeps, as a power button does."""

    def __init__(self, path):
        super().__init__(daemon=True, name="waker")
        self._path, self.sleeps = path, 0

    def run(self):
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._path))
            stream = connection.makefile("rw", encoding="utf-8")
            self._send(stream, "qmp_capabilities")
            for line in stream:
                if json.loads(line).get("event") == "SUSPEND":
                    self.sleeps += 1
                    self._send(stream, "system_wakeup")

    @staticmethod
    def _send(stream, command):
        stream.write(json.dumps({"execute": command}) + "\n")
        stream.flush()
