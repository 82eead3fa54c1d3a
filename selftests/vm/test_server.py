# SPDX-License-Identifier: Apache-2.0
"""wdmachine and a real QEMU without a guest: the test acts as the processor (qtest)."""

import json
import select
import subprocess

import pytest

from machine_server import Server  # pylint: disable=import-error
from project import PROGRAMS  # pylint: disable=import-error
from vm import process, qemu
from waits import LIMIT_S, until

pytestmark = pytest.mark.only_on("vm", reason="needs QEMU")

CONFIG_ADDRESS, CONFIG_DATA = 0xcf8, 0xcfc
IOMMU_SLOT, IOMMU_BAR = 2, 0xfe000000
QUEUE, STATUS = 0x200000, 0x203000
ZIPS = ("0000:75:00.0", "0000:b5:00.0")


@pytest.fixture(name="sockets")
def fixture_sockets(build):
    """The folder of the sockets of a running wdmachine, and the file of its log."""
    run = process.RunFolder()
    server = Server(build / PROGRAMS["wdmachine"], run.path)
    try:
        server.wait_ready()
        yield server.sockets, server.log
        assert server.stop() == 0
    finally:
        process.end(server.process)
        run.remove()


class Qemu:
    """QEMU whose processors do not run. The test accesses the machine's ports and memory."""

    def __init__(self, build, folder, *options, memory="2G", change=lambda a: a):
        args = json.loads(subprocess.run(
            [build / PROGRAMS["wdmachine"], "qemu-args", "--sockets", folder, "--memory",
             memory, "--json"], check=True, capture_output=True, text=True).stdout)
        self.process = process.spawn(
            [*qemu.command(build), "-machine", "q35", "-accel", "tcg", "-S", "-qtest", "stdio",
             "-qtest-log", "none", "-nic", "none", "-vga", "none", "-display", "none",
             *options, *map(change, args)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        process.end(self.process)

    def __call__(self, *words):
        """Sends one command. Returns the words of the answer after OK."""
        self.process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.process.stdin.flush()
        while True:
            assert select.select([self.process.stdout], [], [], LIMIT_S)[0], words
            answer = self.process.stdout.readline().split()
            assert answer, self.process.stderr.read()
            if answer[0] != b"IRQ":
                assert answer[0] == b"OK", answer
                return answer[1:]

    def config_write(self, slot, offset, value, size="l"):
        self("outl", CONFIG_ADDRESS, 1 << 31 | slot << 11 | offset & ~3)
        self(f"out{size}", CONFIG_DATA + (offset & 3), value)

    def config_read(self, slot, offset):
        self("outl", CONFIG_ADDRESS, 1 << 31 | slot << 11 | offset)
        return int(self("inl", CONFIG_DATA)[0], 16)

    def start_iommu(self):
        """Puts BAR 0 at IOMMU_BAR, and turns memory decoding and bus mastering on."""
        self.config_write(IOMMU_SLOT, 0x10, IOMMU_BAR)
        self.config_write(IOMMU_SLOT, 4, 6, "w")

    def run_queue(self):
        """Executes an invalidation wait descriptor, which writes a status word (VT-d)."""
        self("writeq", QUEUE, 0x5 | 1 << 5 | 0xcafe << 32)
        self("writeq", QUEUE + 8, STATUS)
        self("writeq", IOMMU_BAR + 0x90, QUEUE)
        self("writel", IOMMU_BAR + 0x18, 1 << 26)
        self("writeq", IOMMU_BAR + 0x88, 0x10)

    def readl(self, address):
        return int(self("readl", address)[0], 16)

    def end(self):
        """Ends it. Returns its output on stderr."""
        self.process.terminate()
        _, errors = self.process.communicate(timeout=LIMIT_S)
        return "\n".join(line for line in errors.decode().splitlines()
                         if "terminating on signal 15" not in line)


@pytest.mark.parametrize("memory", ["2G", "6G"])
def test_qemu_takes_every_function_without_a_word(build, sockets, memory):
    with Qemu(build, sockets[0], "-trace", "vfio_region_mmap", memory=memory) as machine:
        assert machine.config_read(IOMMU_SLOT, 0) == 0x1dd01234
        lines = machine.end().splitlines()
    assert len(lines) == len(ZIPS)
    for line, address in zip(sorted(lines), ZIPS):
        assert address in line and "BAR 1 mmaps[0] [0x0 - 0x3fffff]" in line
    assert sockets[1].read_text() == ""


def test_iommu_uses_the_memory_of_qemu(build, sockets):
    """The test uses BAR, registers and guest memory; then once more with another QEMU on the same sockets."""
    for _ in range(2):
        with Qemu(build, sockets[0]) as machine:
            machine.start_iommu()
            assert machine.readl(IOMMU_BAR) == 0x60  # version 6.0
            assert machine.readl(STATUS) == 0
            machine.run_queue()
            until(lambda: machine.readl(STATUS) == 0xcafe, "status word")
            assert machine.end() == ""
    assert sockets[1].read_text() == ""


def test_memory_that_is_not_shared_is_found(build, sockets):
    """With share=off QEMU sends descriptors, too, but their files stay empty."""
    def private(argument):
        return argument.replace("share=on", "share=off")
    with Qemu(build, sockets[0], change=private) as machine:
        machine("memset", 0x100000, 0x100000, 0x5a)
        machine.start_iommu()
        until(lambda: "share=on" in sockets[1].read_text(), "complaint")
        machine.run_queue()
        assert machine.readl(IOMMU_BAR + 0x34) & 1 << 4  # FSTS.IQE: the queue cannot be read
        assert machine.readl(STATUS) == 0
        assert machine.end() == ""


def test_memory_without_descriptors_is_said(build, sockets):
    def anonymous(argument):
        return argument.replace("memfd", "ram").replace("share=on", "share=off")
    with Qemu(build, sockets[0], change=anonymous) as machine:
        machine.start_iommu()
        until(lambda: "no guest memory" in sockets[1].read_text(), "complaint")
        assert machine.end() == ""


def test_second_qemu_is_turned_away(build, sockets):
    with Qemu(build, sockets[0]) as first:
        assert first.config_read(IOMMU_SLOT, 0) == 0x1dd01234  # it has the functions, so it came first
        with Qemu(build, sockets[0]) as second:
            _, errors = second.process.communicate(timeout=LIMIT_S)
        assert second.process.returncode == 1
        assert b"Device or resource busy" in errors
        assert first.config_read(IOMMU_SLOT, 0) == 0x1dd01234
        assert first.end() == ""
