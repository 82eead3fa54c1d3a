# SPDX-License-Identifier: Apache-2.0
"""Physical addresses in a real kernel: an identity domain, the option that allows it, and back."""

import pytest

from vm.native_vfio import address_of

pytestmark = pytest.mark.only_on("vm", reason="kernel_hisi has the same for the hosted kernel")

PARAMETER = "/sys/module/hisi_qm/parameters/unsafe_physical"


def set_domain(host, address, kind):
    """Sets the type of the group's default domain. The driver must not be bound meanwhile."""
    host.sh(f"echo {address} >/sys/bus/pci/drivers/hisi_zip/unbind")
    host.sh(f"echo {kind} >/sys/bus/pci/devices/{address}/iommu_group/type")
    host.sh(f"echo {address} >/sys/bus/pci/drivers/hisi_zip/bind")


def test_physical_addresses(host, build):
    address = address_of(host, "hisi_zip-1")
    program = [build / "selftests/ktap/hisi_qm/queue_physical"]
    env = {"WD_UACCE": "hisi_zip-1"}
    set_domain(host, address, "identity")
    try:
        run = host.run(program, env=env)
        assert "SKIP nobody has allowed it" in run.stdout, run.stdout + run.stderr
        host.sh(f"echo 1 >{PARAMETER}")
        run = host.run(program, env=env)
        assert run.returncode == 0 and "not ok" not in run.stdout, run.stdout + run.stderr
        tainted = int(host.sh("cat /proc/sys/kernel/tainted"))
        assert tainted & 1 << 6, "the kernel is marked (TAINT_USER)"
        # Without the option the mode can be set, but no queue can use it.
        host.sh("echo physical >/sys/class/uacce/hisi_zip-1/dma_mode")
        host.sh(f"echo 0 >{PARAMETER}")
        assert "[physical]" in host.sh("cat /sys/class/uacce/hisi_zip-1/dma_mode")
    finally:
        host.sh(f"echo 0 >{PARAMETER}")
        set_domain(host, address, "DMA")
    assert "physical" not in host.sh("cat /sys/class/uacce/hisi_zip-1/dma_mode")
