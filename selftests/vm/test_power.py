# SPDX-License-Identifier: Apache-2.0
"""The guest sleeps (ACPI S3) under load, and is woken.

The machine is one of its own: the folders that other tests share with the guest do not survive a
sleep (virtio-9p), and nobody else shall wait meanwhile.
"""

import contextlib
import dataclasses
import json
import socket
import threading

import pytest

from vm import initramfs
from vm.machine import Machine, default_config

WAKE_TIMEOUT_S = 600
# The firmware forgets where the chipset's power management registers are: without them the machine
# can neither sleep again nor be switched off.
SLEEP = """
set -e
chipset=/sys/bus/pci/devices/0000:00:1f.0/config
dd if=$chipset of=/tmp/chipset bs=4 skip=16 count=2 2>/dev/null
echo mem >/sys/power/state
dd if=/tmp/chipset of=$chipset bs=4 seek=16 conv=notrunc 2>/dev/null
"""

pytestmark = pytest.mark.only_on("vm", reason="only QEMU's machine sleeps")


def complaints(console):
    """What the kernel said, without a known fault of Linux 6.1: when interrupt links come back it
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


@pytest.fixture(name="machine")
def fixture_machine(build, tmp_path):
    """A running machine, and who wakes it."""
    path = tmp_path / "qmp"
    config = dataclasses.replace(
        default_config(build), append="no_console_suspend",
        qemu_args=("-qmp", f"unix:{path},server=on,wait=off"))
    with Machine(config) as machine:
        machine.load_modules()
        waker = Waker(path)
        waker.start()
        yield machine, waker
        found = complaints(machine.console)
        found += machine.power_off(len(machine.console.lines))
    assert not found, "\n".join(found)


def program(build, name):
    """Path of the selftest @name."""
    return str(next(p for p in initramfs.programs(build)[0] if p.name == name))


def test_sleep_under_users_of_every_kind(build, machine):
    guest, waker = machine
    run = guest.run([program(build, "sleep_users")], env={"WD_SLEEP": SLEEP},
                    timeout=WAKE_TIMEOUT_S)
    assert run.returncode == 0, run.stdout + run.stderr + guest.tail(60)
    assert "SKIP" not in run.stdout, run.stdout
    assert waker.sleeps == 2
    # The kernel's own requests, and whoever comes next.
    for name in ("zswap", "queue_work"):
        run = guest.run([program(build, name)], timeout=WAKE_TIMEOUT_S)
        assert run.returncode == 0, run.stdout + run.stderr


def test_sleep_while_the_kernel_compresses(build, machine):
    guest, waker = machine
    with guest.popen([program(build, "zswap")]) as swapper:
        for line in swapper.stdout:
            if line.startswith("ok 1"):
                break
        guest.sh(SLEEP, timeout=WAKE_TIMEOUT_S)
        assert waker.sleeps == 1
        rest = swapper.stdout.read()
        assert swapper.wait(WAKE_TIMEOUT_S) == 0, rest
