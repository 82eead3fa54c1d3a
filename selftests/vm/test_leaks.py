# SPDX-License-Identifier: Apache-2.0
"""Nothing is left when the modules are gone: on a kernel with kmemleak (selftests/vm/debug_kernel).

kmemleak knows slab and vmalloc memory. Whole pages, such as the IOMMU's tables, it does not know:
they are looked for with page_owner, which names the stack that allocated each page in use.
"""

import re

import pytest

from vm import initramfs
from vm.machine import Machine, default_config

KMEMLEAK = "/sys/kernel/debug/kmemleak"
PAGE_OWNER = "/sys/kernel/debug/page_owner"
# Every kind of object, each path that frees one, and a device that is shared.
PROGRAMS = ("iommufd_context", "iommufd_map", "iommufd_copy", "iommufd_hwpt", "iommufd_ioas", "map",
            "copy", "hwpt", "ioas", "queue_attach", "queue_mmap", "queue_state", "queue_work")
# A return address in a module that is no longer there: no symbol, so a bare number.
GONE = re.compile(r"^ 0xffffffff[ac][0-9a-f]{7}$", re.M)
# kmemleak believes nothing that is younger than 5 s to be lost: a register may hold its address.
SETTLE = 6


def has_option(kernel, name):
    """Was the kernel built with an option?"""
    text = (kernel.headers / "include/config/auto.conf").read_text(encoding="utf-8")
    return f"\nCONFIG_{name}=y\n" in text


@pytest.fixture(name="machine")
def fixture_machine(build):
    config = default_config(build)
    config.append += " page_owner=on"
    machine = Machine(config)
    if not has_option(machine.kernel, "DEBUG_KMEMLEAK"):
        pytest.skip("this kernel has no kmemleak")
    with machine:
        yield machine


def unload(machine):
    """All modules away, the units' driver first told to let go of them."""
    machine.sh("""
        for module in hisi_zip hisi_qm iommufd; do rmmod $module; done
        for unit in /sys/bus/pci/drivers/wd_iommu/0*; do
            echo ${unit##*/} > /sys/bus/pci/drivers/wd_iommu/unbind
        done
        rmmod wd_iommu
    """)


def leaks(machine):
    """What kmemleak reports, after two scans: a single one sees much that is only being moved."""
    return machine.sh(f"""
        echo scan > {KMEMLEAK}
        sleep {SETTLE}
        echo scan > {KMEMLEAK}
        cat {KMEMLEAK}
    """, timeout=600)


def lost_pages(machine):
    """Descriptions of pages in use that code allocated which is no longer there."""
    text = machine.sh(f"""
        awk 'BEGIN {{ RS = "" }} /\\n 0xffffffff[ac]/ {{ print; print "" }}' {PAGE_OWNER}
    """, timeout=900)
    return [page for page in text.split("\n\n") if GONE.search(page)]


@pytest.mark.only_on("vm", reason="a kernel that tracks its memory")
def test_nothing_is_left(machine, build):
    programs = [p for p in initramfs.programs(build)[0] if p.name in PROGRAMS]
    assert len(programs) >= 6, f"only {programs}"
    # What happened before is none of our business.
    machine.sh(f"echo scan > {KMEMLEAK}; echo clear > {KMEMLEAK}", timeout=600)
    machine.load_modules()
    for program in programs:
        run = machine.run([str(program)], timeout=1800)
        assert run.returncode in (0, 4), run.stdout + run.stderr
    unload(machine)
    assert not leaks(machine)
    assert not lost_pages(machine)
    assert not machine.power_off()


@pytest.mark.only_on("vm", reason="a kernel that tracks its memory")
def test_a_leak_would_be_seen(machine):
    """kmemleak and page_owner work here: they see what the modules hold while they are there."""
    machine.load_modules()
    held = machine.sh(f"grep -c 'hisi_qm\\|wd_iommu' {PAGE_OWNER}", timeout=900)
    assert int(held) > 0
    assert "kmemleak" not in machine.sh("dmesg | grep -i 'kmemleak.*disabled' || true")
    assert not machine.power_off()
