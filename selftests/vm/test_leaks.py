# SPDX-License-Identifier: Apache-2.0
"""No memory is lost after the modules are removed. Needs a kernel with kmemleak (selftests/vm/debug_kernel).
"""

import re

import pytest

from vm import initramfs
from vm.leaks import PAGE_OWNER, forget, has_option, is_lost, lost_objects, lost_pages
from vm.machine import Machine, default_config

# These use every kind of object, each path that frees one, and a shared device.
PROGRAMS = ("iommufd_map", "iommufd_copy", "iommufd_hwpt", "iommufd_ioas", "queue_attach",
            "queue_mmap", "queue_state", "queue_work", "fail_nth", "fail_copy", "fail_faults",
            "fail_replace", "fail_sva", "fail_nesting", "fail_vfio", "iommufd_nesting", "own_function",
            "queue_end", "queue_mode", "queue_sva", "handles", "topology_example", "vsva")


@pytest.fixture(name="machine")
def fixture_machine(build):
    config = default_config(build)
    config.append += " page_owner=on"
    machine = Machine(config)
    if not has_option(machine.kernel, "DEBUG_KMEMLEAK"):
        pytest.skip("this kernel has no kmemleak")
    with machine:
        yield machine


PAGE = """Page allocated via order 0, mask 0xdc0(GFP_KERNEL|__GFP_ZERO), pid 1, tgid 1 (sh), ts 1 ns
PFN 31995 type Unmovable Block 62 type Unmovable Flags 0xfff00000000000(node=0|zone=0)
 get_zeroed_page+0x1/0x2
 {}
 vfs_ioctl+0x3/0x4
"""


def test_what_counts_as_a_lost_page():
    lost = PAGE.format("0xffffffffc0123456")
    assert is_lost(lost) and is_lost(PAGE.format("0xffffffffa0123456"))
    assert not is_lost(PAGE.format("qm_dus_get+0x10/0x20 [hisi_qm]"))
    assert not is_lost(lost.replace("(node=0", "(slab|node=0"))
    assert not is_lost(lost.replace("(node=0", "(locked|slab|node=0"))
    assert not is_lost(lost.replace("get_zeroed_page", "kasan_populate_vmalloc"))


def awake(machine):
    """Checks that none of the kernel's own checks has switched itself off."""
    assert re.search(r"debug_locks: +1$", machine.sh("cat /proc/lockdep_stats"), re.M)
    assert machine.sh("cat /sys/kernel/debug/dma-api/disabled") == "N\n"
    assert machine.sh("dmesg | grep -iE '(kmemleak|odebug|dma-api).*disabl' || true") == ""


@pytest.mark.only_on("vm", reason="a kernel that tracks its memory")
def test_nothing_is_left(machine, build):
    programs = [p for p in initramfs.programs(build)[0] if p.name in PROGRAMS]
    assert len(programs) == len(PROGRAMS)
    forget(machine)
    machine.load_modules()
    for program in programs:
        run = machine.run([str(program)], timeout=1800)
        assert run.returncode in (0, 4), run.stdout + run.stderr
    # Shows that the trackers work: they know memory of the loaded modules.
    assert int(machine.sh(f"grep -c 'hisi_qm\\|wd_iommu' {PAGE_OWNER}", timeout=900)) > 0
    awake(machine)
    machine.sh("wd-modules unload")
    assert not lost_objects(machine)
    assert not lost_pages(machine)
    assert not machine.power_off()
