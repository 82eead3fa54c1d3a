# SPDX-License-Identifier: Apache-2.0
"""The guest boots, our modules drive the machine's functions, and the kernel does not complain."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from project import ROOT  # pylint: disable=import-error
from vm import process
from vm.console import is_bad
from vm.guest import GuestDied
from vm.machine import OFF_TIMEOUT_S, GuestTimeout, Machine

pytestmark = pytest.mark.only_on("vm", reason="about the guest's kernel")


@pytest.fixture(name="description")
def fixture_description(host):
    """The machine description that wdmachine serves."""
    name = host.config.machine
    path = pathlib.Path(name) if "/" in name else ROOT / f"machines/{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_boot_was_clean(host):
    """Checks the kernel's own buffer, which also has lines that were not printed on the console."""
    text = host.sh("dmesg")
    assert "Linux version" in text
    assert not [line for line in text.splitlines() if is_bad(line)]


def test_who_uses_the_iommu_is_for_administrators_only(host):
    """PASIDs and addresses of all users: what is attached, and the log of faults."""
    for name in ("attachments", "fault_log", "last_fault"):
        modes = host.sh(f"stat -L -c %a /sys/class/iommu/*/{name}").split()
        assert modes and set(modes) == {"400"}, (name, modes)


def test_no_undue_taint(host):
    """Allowed are out-of-tree and unsigned modules, and bit 6, which a test of the mode without IOMMU
    sets. A warning would set bit 9."""
    taint = int(host.sh("cat /proc/sys/kernel/tainted"))
    assert taint & ~(1 << 6 | 1 << 12 | 1 << 13) == 0


def test_other_peoples_pasids_are_for_root(host):
    for name in ("attachments", "fault_log", "last_fault"):
        assert host.sh(f"stat -c %a /sys/class/iommu/wd-iommu0/{name}").strip() == "400"
    nobody = ["su", "nobody", "-s", "/bin/sh", "-c"]
    host.sh("chmod 666 /dev/iommu")
    try:
        run = host.run([*nobody, "wdctl topology --attachments"])
        assert run.returncode == 1 and "be root" in run.stderr, run.stdout + run.stderr
        run = host.run([*nobody, "wdctl topology"])
        assert run.returncode == 0 and "hisi_zip-0" in run.stdout, run.stderr
    finally:
        host.sh("chmod 600 /dev/iommu")


def test_devices_are_there(host, description):
    assert host.sh("ls -l /dev/iommu").startswith("c")
    assert host.sh("ls /sys/class/iommu").split() == ["wd-iommu0"]
    count = len(description["accelerators"])
    assert sorted(host.sh("ls /sys/class/uacce").split()) == [f"hisi_zip-{i}" for i in range(count)]
    for i in range(count):
        assert host.sh(f"ls -l /dev/hisi_zip-{i}").startswith("c")


def test_every_accelerator_has_a_group_of_its_own_with_a_dma_domain(host, description):
    groups = set()
    for accelerator in description["accelerators"]:
        device = f"/sys/bus/pci/devices/{accelerator['address']}"
        group = host.sh(f"readlink -f {device}/iommu_group").strip()
        assert host.sh(f"ls {group}/devices").split() == [accelerator["address"]]
        assert host.sh(f"cat {group}/type").strip() == "DMA"
        assert host.sh(f"readlink -f {device}/iommu").strip().endswith("/wd-iommu0")
        groups.add(group)
    assert len(groups) == len(description["accelerators"])


def test_functions_that_are_not_ours_are_left_alone(host, description):
    ours = {a["address"] for a in description["accelerators"]}
    grouped = host.sh("cd /sys/bus/pci/devices; for d in *; do "
                      "[ ! -e $d/iommu_group ] || echo $d; done").split()
    assert set(grouped) == ours
    assert set(host.sh("cd /sys/bus/pci/devices; echo *").split()) > ours


def test_nodes_are_those_of_the_description(host, description):
    for accelerator in description["accelerators"]:
        node = host.sh(f"cat /sys/bus/pci/devices/{accelerator['address']}/numa_node")
        assert int(node) == accelerator["node"]
    for node in description["nodes"]:
        text = host.sh(f"cat /sys/devices/system/node/node{node['id']}/distance")
        assert [int(word) for word in text.split()] == node["distances"]
        assert host.sh(f"cat /sys/devices/system/node/node{node['id']}/cpulist").strip()


def test_interrupts_are_msi_x_and_arrive(host, description):
    host.sh("echo some text | wd_zip | wd_zip -d")
    for accelerator in description["accelerators"]:
        device = f"/sys/bus/pci/devices/{accelerator['address']}"
        vectors = host.sh(f"cat {device}/msi_irqs/*").split()
        assert vectors and set(vectors) == {"msix"}


def test_files_are_shared_under_their_own_path(host, tmp_path):
    (tmp_path / "from-here").write_bytes(bytes(range(256)) * 1000)
    (tmp_path / "empty").touch()
    host.sh(f"cp {tmp_path}/from-here {tmp_path}/from-there; cat {tmp_path}/empty")
    assert (tmp_path / "from-there").read_bytes() == (tmp_path / "from-here").read_bytes()


def test_a_killed_program_and_its_status(host):
    with host.popen(["sh", "-c", "echo started >&2; exec sleep 1000"]) as victim:
        assert victim.stderr.readline() == "started\n"
        victim.send_signal(signal.SIGKILL)
        assert victim.wait(OFF_TIMEOUT_S) == -signal.SIGKILL
    assert host.run(["false"]).returncode == 1


class TestTrouble:
    """Breaks a guest on purpose: the runner must notice. It boots without devices."""

    @pytest.fixture(name="machine")
    def fixture_machine(self, host):
        config = dataclasses.replace(host.config, machine=None, memory="512M", cpus=1, share=())
        with Machine(config) as machine:
            yield machine

    def test_a_warning_and_then_a_panic(self, machine):
        assert machine.problems() == []
        machine.sh("echo 'WARNING: CPU: 0 PID: 1 at a/test.c:1' >/dev/kmsg")
        machine.sh("echo >/dev/kmsg; echo 1 >/proc/sys/kernel/sysrq")
        assert any("a/test.c" in text for text in machine.problems())
        mark = len(machine.console.lines)
        with pytest.raises(GuestTimeout):
            machine.run(["sleep", "1000"], timeout=1)
        text = "\n".join(machine.console.lines[mark:])
        assert "sysrq: Show Blocked State" in text or "Show backtrace of all active" in text
        with pytest.raises(GuestDied):
            machine.run(["sh", "-c", "echo c >/proc/sysrq-trigger"], timeout=60)
        assert not machine.alive
        assert any("Kernel panic" in text for text in machine.power_off())


def test_a_killed_run_leaves_nothing(build, tmp_path):
    """If the runner is killed while its guest works, QEMU and wdmachine end, too."""
    env = {**os.environ, "TMPDIR": str(tmp_path), "WD_BUILD": str(build)}
    with subprocess.Popen([sys.executable, ROOT / "selftests/vm/run", "--sh",
                           "echo running; exec sleep 1000"], env=env, stdout=subprocess.PIPE,
                          text=True) as runner:
        for line in runner.stdout:
            if line == "running\n":
                break
        else:
            raise AssertionError("the guest did not get that far")
        children = pathlib.Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text(
            encoding="ascii")
        watches = [os.pidfd_open(int(pid)) for pid in children.split()]
        assert len(watches) >= 2, "QEMU and wdmachine"
        runner.kill()
    for watch in watches:
        assert process.ended(watch, 30), "a process lives on"
        os.close(watch)
