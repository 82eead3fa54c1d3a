# SPDX-License-Identifier: Apache-2.0
"""Tests of parts of the runner that need no machine: caches, archive, processes, choice of a kernel."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from project import ROOT  # pylint: disable=import-error
from vm import cache, initramfs, kernel, process
from vm.machine import free_slots
from waits import LIMIT_S  # pylint: disable=import-error


def unpack(data):
    """{name: (mode, data)} of a newc archive."""
    found, at = {}, 0
    while True:
        assert data[at:at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110:at + 110 + fields[11] - 1].decode()
        at = (at + 110 + fields[11] + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], data[at:at + fields[6]])
        at = (at + fields[6] + 3) & ~3


def test_archive_has_files_links_and_their_folders():
    archive = initramfs.Archive()
    archive.file("/usr/bin/program", b"12345", 0o755)
    archive.link("bin/x", "/usr/bin/program")
    archive.file("usr/bin/program", b"twice")
    found = unpack(archive.data())
    assert list(found) == ["usr", "usr/bin", "usr/bin/program", "bin", "bin/x"]
    assert found["usr/bin/program"] == (0o100755, b"12345")
    assert found["bin/x"] == (0o120777, b"/usr/bin/program")
    assert found["usr"] == (0o40755, b"")


def test_programs_are_found_and_so_are_their_libraries(build):
    found, tools = initramfs.programs(build)
    assert {"iommufd_map", "queue_work"} <= {p.name for p in found}
    assert {p.parent.parent.name for p in found} == {"ktap"}
    names = {p.name for p in initramfs.libraries(found + tools)}
    assert "libc.so.6" in names and any(n.startswith("ld-linux") for n in names)


def test_made_once(tmp_path):
    calls = []

    def make(partial):
        calls.append(partial)
        partial.write_text("whole")

    for _ in range(2):
        assert cache.made_once(tmp_path / "x", make).read_text() == "whole"
    assert len(calls) == 1


def test_what_a_killed_run_leaves_is_not_taken_for_whole(tmp_path):
    def fail(partial):
        partial.mkdir()
        (partial / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.made_once(tmp_path / "x", fail)
    assert not (tmp_path / "x").exists()
    assert len(list(tmp_path.glob(".x.partial-*"))) == 1
    cache.made_once(tmp_path / "x", lambda partial: partial.mkdir())
    assert not list((tmp_path / "x").iterdir())
    assert not list(tmp_path.glob(".x.partial-*"))


def test_a_helper_process_does_not_outlive_us(tmp_path):
    """It ends even if this process is killed, and the next run removes the folder."""
    script = (f"import sys; sys.path.insert(0, {str(ROOT / 'selftests')!r})\n"
              "from vm import process\n"
              "folder = process.RunFolder()\n"
              "child = process.spawn(['sleep', '1000'])\n"
              "print(child.pid, folder.path, flush=True)\n"
              "child.wait()\n")
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE,
                          text=True) as parent:
        pid, folder = parent.stdout.readline().split()
        watch = os.pidfd_open(int(pid))
        parent.send_signal(signal.SIGKILL)
    assert process.ended(watch, LIMIT_S), "the helper process lives on"
    os.close(watch)
    assert pathlib.Path(folder).exists()
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'selftests')!r})\n" \
           "from vm import process; process.RunFolder().remove()"
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert not pathlib.Path(folder).exists()


def test_a_folder_in_use_is_not_swept():
    mine = process.RunFolder()
    process.RunFolder().remove()
    assert mine.path.exists()
    assert len(str(mine.path / "s" / ("f" * 40))) < 108  # the limit of a socket's path
    mine.remove()
    assert not mine.path.exists()


def test_a_helper_that_ignores_sigterm_ends_as_well():
    child = process.spawn(["sh", "-c", "trap '' TERM; echo go; while :; do read x; done"],
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert child.stdout.readline() == b"go\n"
    assert process.end(child, timeout=0.1) == -signal.SIGKILL
    child.stdout.close()


def test_another_kernel(tmp_path):
    with pytest.raises(cache.VmError, match="no kernel"):
        kernel.from_folder(tmp_path)
    tree = tmp_path / "modules/lib/modules/6.1.999-debug"
    tree.mkdir(parents=True)
    (tree / "modules.builtin").write_text("kernel/drivers/virtio/virtio_pci.ko\n")
    (tmp_path / "bzImage").touch()
    with pytest.raises(cache.VmError, match="build tree"):
        kernel.from_folder(tmp_path)
    (tmp_path / "build/include/config").mkdir(parents=True)
    (tmp_path / "build/include/config/auto.conf").touch()
    found = kernel.from_folder(tmp_path)
    assert found.version == "6.1.999-debug" and found.headers == tmp_path / "build"
    modules = kernel.ModuleTree(found)
    assert modules.closure(["virtio-pci"], ["vfio"]) == []
    with pytest.raises(cache.VmError, match="9p"):
        modules.closure(["9p"])


def test_the_guest_loads_our_modules_in_the_right_order():
    text = (ROOT / "selftests/vm/guest/wd-modules").read_text(encoding="utf-8")
    order = re.search(r'^modules="(.*)"$', text, re.M).group(1).split()
    assert order == [pathlib.Path(p).stem for p in kernel.OUR_MODULES
                     if not p.startswith("selftest/")]  # each test loads its own


def test_our_devices_get_slots_that_nobody_wants():
    slots = free_slots(["-device", "pxb-pcie,id=a,bus=pcie.0,addr=1e,bus_nr=180",
                        "-device", '{"driver":"vfio-user-pci","bus":"pcie.0","addr":"1d.0"}',
                        "-device", '{"driver":"vfio-user-pci","bus":"rp75","addr":"1c.0"}'])
    assert [next(slots), next(slots)] == ["bus=pcie.0,addr=0x1c", "bus=pcie.0,addr=0x1b"]
