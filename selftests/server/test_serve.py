# SPDX-License-Identifier: Apache-2.0
"""wdmachine serve, with a client like QEMU and with attackers."""

import errno
import json
import os
import signal
import socket
import stat
import struct
import subprocess

import pytest

import vfio_user_client as vu  # pylint: disable=import-error
from waits import LIMIT_S, until

IOMMU, ZIP, OTHER_ZIP = "0000:00:02.0", "0000:75:00.0", "0000:b5:00.0"


def refused(error, call, *arguments):
    with pytest.raises(vu.Refused) as raised:
        call(*arguments)
    assert raised.value.error == error, raised.value


def closed(client):
    with pytest.raises(vu.Closed):
        client.receive()


def open_files(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def guest_mappings(server):
    with open(f"/proc/{server.process.pid}/maps", encoding="ascii") as maps:
        return sum("memfd:guest" in line for line in maps)


# Start and end of the process.

@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_sockets_come_and_go(start, how):
    server = start().wait_ready()
    assert sorted(os.listdir(server.sockets)) == [f"{a}.sock" for a in (IOMMU, ZIP, OTHER_ZIP)]
    for name in os.listdir(server.sockets):
        mode = os.stat(server.sockets / name).st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    with vu.Client(server.path(ZIP)):
        assert server.stop(how) == 0
    assert not os.listdir(server.sockets)


def test_second_server_is_refused(server, start):
    second = start()
    assert second.process.wait(LIMIT_S) == 1
    assert "another server listens there" in second.log.read_text()
    with vu.Client(server.path(ZIP)):
        pass


def test_sockets_of_a_killed_server_are_replaced(start):
    server = start().wait_ready()
    server.process.kill()
    server.process.wait(LIMIT_S)
    assert server.path(ZIP).exists()
    with vu.Client(start().wait_ready().path(ZIP)):
        pass


def test_machine_from_a_file(start, tmp_path):
    machine = {"name": "one", "nodes": [{"id": 0, "cpus": [0], "memory": "1G", "distances": [10]}],
               "iommu": {"address": "0000:00:03.0", "node": 0},
               "accelerators": [{"address": "0000:20:00.0", "node": 0, "queues": 16,
                                 "doorbells": "trapped"}]}
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(machine))
    server = start("--machine", path).wait_ready()
    assert sorted(os.listdir(server.sockets)) == ["0000:00:03.0.sock", "0000:20:00.0.sock"]
    with vu.Client(server.path("0000:20:00.0")) as client:
        _, flags, _, size, _, _, fds = client.region_info(4)
        assert (flags, size, fds) == (3, 16 * 0x10000, [])


@pytest.mark.parametrize("options, word", [
    (["serve"], "--sockets"),
    (["serve", "--sockets", "/nonexistent/folder"], "/nonexistent/folder"),
    (["serve", "--sockets", "x" * 120], "107 bytes"),
    (["serve", "--sockets", "s", "--machine", "no-such"], "no-such"),
    (["serve", "--sockets", "s", "--machine", "/nonexistent.json"], "/nonexistent.json"),
    ([], "subcommand"),
])
def test_errors_are_one_line(wdmachine, tmp_path, options, word):
    run = subprocess.run([wdmachine, *options], cwd=tmp_path, capture_output=True, text=True,
                         timeout=LIMIT_S, check=False)
    assert run.returncode in (1, 2) and run.stdout == ""
    assert len(run.stderr.splitlines()) == 1 and word in run.stderr, run.stderr


# The commands of QEMU at its start.

def test_conversation_of_qemu(server):
    memory = vu.guest_memory(1 << 20)
    with vu.Client(server.path(ZIP), hello=False) as client:
        capabilities = client.version()["capabilities"]
        assert capabilities["max_msg_fds"] <= 16 and capabilities["max_data_xfer_size"] >= 4096
        client.map(0, 0xa0000, memory)
        client.map(0xc0000, 0x40000, memory, 0xc0000, flags=1)
        client.map(0xfffc0000, 0x40000, flags=1)
        body, _ = client.call(vu.GET_INFO, struct.pack("<IIII", 16, 0, 0, 0))
        assert struct.unpack("<IIII", body) == (16, 3, 9, 5)
        sizes = [client.region_info(i)[3] for i in range(9)]
        assert sizes == [4096, 4 << 20, 4 << 20, 0, 64 << 20, 0, 0, 4096, 0]
        body, _ = client.call(vu.GET_IRQ_INFO, struct.pack("<IIII", 16, 0, 2, 0))
        assert struct.unpack("<IIII", body)[3] == 4
        config = client.read(vu.CONFIG, 0, 4096)
        assert config[:4] == bytes.fromhex("e51950a2")
        client.write_word(vu.CONFIG, 0x30, 0xfffff800)
        assert client.read_word(vu.CONFIG, 0x30) == 0
        assert config[0x3d] == 0
        client.set_irqs(0x21, 0, 0, 0)
        client.call(vu.RESET)
    os.close(memory)


def test_linux_will_accept_pasid(server):
    """FLR and end-to-end prefixes (7), PASID in the extended space."""
    with vu.Client(server.path(ZIP)) as client:
        express = client.capability(0x10)
        assert client.read_word(vu.CONFIG, express + 2, 2) & 0xf == 2
        assert client.read_word(vu.CONFIG, express + 4) & 1 << 28
        assert client.read_word(vu.CONFIG, express + 0x24) & 1 << 21
        assert client.read_word(vu.CONFIG, 0x100, 2) == 0x1b


def test_doorbells_are_shared(server):
    with vu.Client(server.path(ZIP)) as client:
        _, flags, cap, size, offset, _, fds = client.region_info(4)
        assert (flags, cap, size, offset, len(fds)) == (3, 0, 64 << 20, 0, 0), "architected ones trap"
        _, flags, cap, size, offset, _, fds = client.region_info(1)
        assert (flags, cap, size, offset, len(fds)) == (7, 0, 4 << 20, 0, 1)
        fd = fds[0]
        os.pwrite(fd, struct.pack("<Q", 0x1234), 0x3000 + 3 * 128)
        assert client.read_word(1, 0x3000 + 3 * 128, 8) == 0x1234
        client.write_word(1, 0x100, 0x55, 8)
        assert os.pread(fd, 8, 0x100) == struct.pack("<Q", 0x55)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 4096)
        os.close(fd)


# Guest memory: when its queue runs, the IOMMU itself reads and writes that memory.

def run_invalidation_wait(client, memory):
    """An invalidation wait descriptor at 0x1000 writes a status word to 0x3000 (VT-d)."""
    os.pwrite(memory, struct.pack("<QQ", 0x5 | 1 << 5 | 0xcafe << 32, 0x3000), 0x1000)
    client.write_word(0, 0x90, 0x1000, 8)      # IQA
    client.write_word(0, 0x18, 1 << 26)        # GCMD: QIE
    client.write_word(0, 0x88, 0x10, 8)        # IQT


def test_device_uses_guest_memory(server):
    memory = vu.guest_memory(1 << 20)
    with vu.Client(server.path(IOMMU)) as client:
        client.map(0, 1 << 20, memory)
        client.write_word(vu.CONFIG, 4, 6, 2)
        run_invalidation_wait(client, memory)
        until(lambda: os.pread(memory, 4, 0x3000) == struct.pack("<I", 0xcafe))
    os.close(memory)


def test_memory_may_come_over_the_other_socket(server):
    memory = vu.guest_memory(1 << 20)
    with vu.Client(server.path(IOMMU)) as unit, vu.Client(server.path(ZIP)) as function:
        function.map(0, 1 << 20, memory)
        unit.write_word(vu.CONFIG, 4, 6, 2)
        run_invalidation_wait(unit, memory)
        until(lambda: os.pread(memory, 4, 0x3000) == struct.pack("<I", 0xcafe))
    os.close(memory)


def test_no_bus_master_no_memory(server):
    memory = vu.guest_memory(1 << 20)
    with vu.Client(server.path(IOMMU)) as client:
        client.map(0, 1 << 20, memory)
        run_invalidation_wait(client, memory)
        assert client.read_word(0, 0x34) & 1 << 4  # FSTS.IQE
        assert os.pread(memory, 4, 0x3000) == bytes(4)
    os.close(memory)


def test_interrupt_reaches_the_eventfd(server):
    """A queue in missing memory is a fault, so the IOMMU sends message 0."""
    event = os.eventfd(0) if hasattr(os, "eventfd") else None
    if event is None:
        pytest.skip("no eventfd in this Python")
    with vu.Client(server.path(IOMMU)) as client:
        msix = client.capability(0x11)
        client.write_word(vu.CONFIG, 4, 6, 2)
        client.write_word(vu.CONFIG, msix + 2, 0x8000, 2)
        client.set_irqs(0x24, 2, 0, 1, [event])
        client.write_word(0, 0x38, 0)           # FECTL: unmask
        client.write_word(0, 0x90, 0x1000, 8)
        client.write_word(0, 0x18, 1 << 26)
        client.write_word(0, 0x88, 0x10, 8)
        assert os.eventfd_read(event) == 1
    os.close(event)


# The attackers.

def test_second_client_is_turned_away(server):
    with vu.Client(server.path(ZIP)) as first:
        with vu.Client(server.path(ZIP), hello=False) as second:
            refused(errno.EBUSY, second.version)
            closed(second)
        first.call(vu.RESET)


def test_next_qemu_is_served_and_finds_a_clean_function(server):
    memory = vu.guest_memory(1 << 20)
    for _ in range(5):
        with vu.Client(server.path(ZIP)) as client:
            assert client.read_word(vu.CONFIG, 4, 2) == 0
            assert guest_mappings(server) == 0
            client.write_word(vu.CONFIG, 4, 6, 2)
            client.map(0, 1 << 20, memory)
            assert guest_mappings(server) == 1
    os.close(memory)


def test_garbage_ends_one_connection_only(server):
    """The attack: random bytes with descriptors after a correct handshake."""
    with vu.Client(server.path(IOMMU)) as good:
        for seed in range(20):
            with vu.Client(server.path(ZIP)) as bad:
                bad.send_raw(bytes((seed * 37 + i * 101) & 0xff for i in range(200)),
                             [0, 1, 2] if seed & 1 else [])
                bad.socket.shutdown(socket.SHUT_WR)
                with pytest.raises(vu.Closed):
                    while True:
                        bad.receive()
            good.call(vu.RESET)


def test_nothing_leaks(server):
    """A client dies with everything open; another one gets every request refused."""
    with vu.Client(server.path(ZIP)) as client:
        client.call(vu.RESET)
    before = None
    for _ in range(5):
        memory, useless = vu.guest_memory(1 << 20), os.open("/dev/null", os.O_RDWR)
        with vu.Client(server.path(ZIP)) as client:
            client.map(0, 1 << 20, memory)
            refused(errno.EEXIST, client.map, 0, 1 << 20, memory)
            refused(errno.EINVAL, client.map, 1 << 30, 1 << 20, useless)
            refused(errno.EINVAL, client.set_irqs, 0x24, 2, 0, 1, [useless])
            refused(errno.EINVAL, client.call, vu.RESET, b"", [memory, useless])
            refused(errno.EINVAL, client.call, 99, b"", [memory])
            client.send(vu.SET_IRQS, b"", [memory, useless])
        os.close(memory)
        os.close(useless)
        with vu.Client(server.path(ZIP)) as client:  # the server has cleaned up after the last one
            client.call(vu.RESET)
            count = (open_files(server), guest_mappings(server))
        assert before in (None, count)
        before = count


def test_memory_that_could_shrink_is_refused(server):
    fd = os.memfd_create("guest", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 1 << 20)
    with vu.Client(server.path(ZIP)) as client:
        refused(errno.EPERM, client.map, 0, 1 << 20, fd)
        client.call(vu.RESET)
    assert "could be truncated" in server.log.read_text()
    os.close(fd)


def test_memory_that_is_not_shared_is_found(server):
    """With share=off the guest's bytes are only in QEMU, and the file that it sends stays empty."""
    memory = vu.guest_memory(1 << 20)
    with vu.Client(server.path(IOMMU)) as client:
        client.map(0, 1 << 20, memory)
        client.write_word(vu.CONFIG, 4, 6, 2)
        for _ in range(3):
            ident, command, _, _, body, _ = client.receive()
            assert command == vu.DMA_READ
            count = struct.unpack("<QQ", body)[1]
            data = body + b"\x5a" * count
            client.send_raw(struct.pack("<HHIII", ident, command, 16 + len(data), vu.REPLY, 0)
                            + data)
        client.call(vu.RESET)
        client.write_word(vu.CONFIG, 4, 6, 2)
        run_invalidation_wait(client, memory)
        assert client.read_word(0, 0x34) & 1 << 4
        assert os.pread(memory, 4, 0x3000) == bytes(4)
    assert "add share=on" in server.log.read_text().lower()
    os.close(memory)


def test_posted_writes(server):
    with vu.Client(server.path(ZIP)) as client:
        for i in range(1000):
            client.send(vu.REGION_WRITE, struct.pack("<QIII", 0x40, 0, 4, i), flags=vu.NO_REPLY)
        assert client.read_word(0, 0x40) == 999


def test_clients_that_stall_hold_up_nobody(server):
    """A client sends half a header. Other sockets and SIGTERM work nevertheless."""
    with vu.Client(server.path(ZIP)) as slow, vu.Client(server.path(IOMMU)) as quick:
        slow.send_raw(b"\0" * 7)
        for _ in range(100):
            quick.call(vu.RESET)
        assert server.stop() == 0


def test_verbose_says_messages_but_no_data(start):
    server = start("--verbose").wait_ready()
    with vu.Client(server.path(ZIP)) as client:
        client.write_word(0, 0x40, 0x5ec4e7aa)
    assert server.stop() == 0
    text = server.log.read_text()
    assert f"{ZIP}: command 10 id " in text and "5ec4e7aa" not in text.lower()
