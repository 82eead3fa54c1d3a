# SPDX-License-Identifier: Apache-2.0
"""Linux 6.1's own driver of the accelerators, unmodified, on the accelerators of the machine "two-socket".

The driver needs several MSI messages for a function, and so interrupt remapping. QEMU's IOMMU has that; the kernel
uses it for nothing else (intel_iommu=off).
"""

import re

import pytest
import source
from outcome import results

from vm import machine  # pylint: disable=import-error

FIRST, SECOND = "0000:75:00.0", "0000:b5:00.0"
PCI = "/sys/bus/pci"
# Complaints of the driver that have a reason.
KNOWN = (
    # No queues for processes: Linux 6.1 asks the IOMMU driver for page faults by a feature that ours has for its own
    # drivers only.
    r"hisi_zip .*: failed to enable IOPF feature! ret = -ENODEV",
    r"hisi_zip .*: fail to alloc uacce \(-22\)",
)
TIMEOUT_S = 600


@pytest.fixture(name="guest", scope="module")
def fixture_guest(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hisi")
    vfio = source.vfio_programs(build, tmp_path_factory.mktemp("vfio"))
    config = machine.default_config(build)
    config.machine = "two-socket"
    config.share = (str(folder), str(vfio))
    config.qemu_args = ("-device", "intel-iommu,intremap=on,eim=off")
    config.append += " intel_iommu=off"
    with machine.Machine(config) as guest:
        guest.vfio = vfio
        modules = source.driver_modules(guest.kernel, folder)
        guest.sh("[ -e /sys/kernel/debug/block ] || mount -t debugfs none /sys/kernel/debug; modprobe wd_iommu;"
                 " modprobe iommufd vfio_container=1 allow_unsafe_interrupts=1; modprobe wd_vfio")
        # The second accelerator is for our own programs.
        guest.sh(f"echo wd_vfio >{PCI}/devices/{SECOND}/driver_override")
        guest.sh("echo 16 >/proc/sys/vm/nr_hugepages")
        for module in modules:
            guest.sh(f"insmod {module}")
        yield guest
        problems = [text for text in guest.power_off() if not any(re.search(known, text) for known in KNOWN)]
        assert not problems


def registered(guest):
    """Whether the driver's algorithm is there, and its self test has passed."""
    return "selftest     : passed" in guest.sh("grep -A6 'driver *: hisi-deflate-acomp' /proc/crypto")


def swap(guest):
    """zswap compresses with the driver, in several processes, and each page comes back as it was."""
    return guest.run([guest.config.build / "selftests/ktap/crypto/zswap", "stay"], timeout=TIMEOUT_S)


def test_probe_and_self_test(guest):
    assert FIRST in guest.sh(f"ls {PCI}/drivers/hisi_zip")
    assert registered(guest)


def test_round_trips(guest):
    run = swap(guest)
    assert run.returncode == 0, run.stdout + run.stderr


def test_function_level_reset(guest):
    guest.sh(f"echo 1 >{PCI}/devices/{FIRST}/reset")
    run = swap(guest)
    assert run.returncode == 0, run.stdout + run.stderr


def test_registers_in_debugfs(guest):
    folder = f"/sys/kernel/debug/hisi_zip/{FIRST}"
    registers = guest.sh(f"cat {folder}/qm/regs")
    assert re.search(r"QM_DFX_DB_CNT +=\s+0x", registers), registers
    assert int(guest.sh(f"cat {folder}/zip_dfx/recv_cnt")) > 0


def test_beside_a_driver_of_ours(guest, build):
    """wd_vfio gives the other accelerator to a process at the same time. (hisi_zip could not: two drivers of a bus
    cannot have one name.)"""
    guest.sh(f"echo {SECOND} >{PCI}/drivers_probe; [ $(basename $(readlink {PCI}/devices/{SECOND}/driver)) = wd_vfio ]")
    with guest.popen([build / "selftests/ktap/crypto/zswap", "stay"]) as theirs:
        ours = guest.run([guest.vfio / "vfio_dma_mapping_test", SECOND], timeout=TIMEOUT_S)
        assert theirs.wait(TIMEOUT_S) == 0, theirs.stdout.read()
    found = results(ours.stdout)
    assert sum(result == "ok" for result in found.values()) >= 25 and "not ok" not in found.values(), ours.stdout


def test_unbind_and_bind(guest):
    guest.sh(f"echo {FIRST} >{PCI}/drivers/hisi_zip/unbind && echo {FIRST} >{PCI}/drivers/hisi_zip/bind")
    assert registered(guest)
