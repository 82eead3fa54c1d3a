# SPDX-License-Identifier: Apache-2.0
"""The needs of a guest that sleeps (ACPI S3): a waker, and its own part."""

import contextlib
import json
import socket
import threading

# The module does what this machine's firmware forgets: without it nobody can reach the functions'
# capabilities for address translation afterwards, nor switch the machine off.
SLEEP = """
set -e
modprobe wd_chipset_test
echo mem >/sys/power/state
"""


def qemu_arguments(path):
    """QEMU's, so that a Waker can reach it at the socket @path. The kernel needs no_console_suspend."""
    return ("-qmp", f"unix:{path},server=on,wait=off")


def complaints(console):
    """The kernel's messages, without a known fault of Linux 6.1: when interrupt links come back it
    allocates memory, for which it wants random numbers, for which it reads a clock that sleeps."""
    return [text for text in console.problems()
            if not ("crng_make_state" in text and "acpi_pci_link_set" in text)]


class Waker(threading.Thread):
    """Wakes the guest as often as it sleeps, as its power button would."""

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
