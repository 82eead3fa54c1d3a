# SPDX-License-Identifier: Apache-2.0
"""The guest sleeps (ACPI S3) under load, and the test wakes it.

The test has its own machine: the folders that other tests share with the guest (virtio-9p) do not
survive a sleep, and other tests should not have to wait.
"""

import dataclasses

import pytest

from vm import initramfs
from vm.machine import Machine, default_config
from vm.waker import SLEEP, Waker, complaints, qemu_arguments

WAKE_TIMEOUT_S = 600

pytestmark = pytest.mark.only_on("vm", reason="only QEMU's machine sleeps")


@pytest.fixture(name="machine")
def fixture_machine(build, tmp_path):
    """A running machine, and its waker."""
    path = tmp_path / "qmp"
    config = dataclasses.replace(
        default_config(build), append="no_console_suspend",
        qemu_args=qemu_arguments(path))
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
    # Afterwards these work: the kernel's own requests, another user, and page faults.
    for name in ("zswap", "queue_work", "queue_sva"):
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
