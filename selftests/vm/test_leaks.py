# SPDX-License-Identifier: Apache-2.0
"""Nothing is left when the modules are gone: on a kernel with kmemleak (selftests/vm/debug_kernel).
"""

import pytest

from vm import initramfs
from vm.leaks import GONE, PAGE_OWNER, forget, has_option, lost_objects, lost_pages
from vm.machine import Machine, default_config

# Every kind of object, each path that frees one, and a device that is shared.
PROGRAMS = ("iommufd_map", "iommufd_copy", "iommufd_hwpt", "iommufd_ioas", "queue_attach",
            "queue_mmap", "queue_state", "queue_work", "fail_nth")


@pytest.fixture(name="machine")
def fixture_machine(build):
    config = default_config(build)
    config.append += " page_owner=on"
    machine = Machine(config)
    if not has_option(machine.kernel, "DEBUG_KMEMLEAK"):
        pytest.skip("this kernel has no kmemleak")
    with machine:
        yield machine


def test_addresses_without_a_symbol_are_recognized():
    page = "Page allocated via order 0\nPFN 7 Flags 0x0\n get_page+0x1/0x2\n{}\n handle+0x3/0x4"
    assert GONE.search(page.format(" 0xffffffffc0123456"))
    assert GONE.search(page.format(" 0xffffffffa0123456"))
    assert not GONE.search(page.format(" qm_dus_get+0x10/0x20 [hisi_qm]"))


@pytest.mark.only_on("vm", reason="a kernel that tracks its memory")
def test_nothing_is_left(machine, build):
    programs = [p for p in initramfs.programs(build)[0] if p.name in PROGRAMS]
    assert len(programs) == len(PROGRAMS)
    forget(machine)
    machine.load_modules()
    for program in programs:
        run = machine.run([str(program)], timeout=1800)
        assert run.returncode in (0, 4), run.stdout + run.stderr
    # The trackers work: they know what the modules hold while they are there.
    assert int(machine.sh(f"grep -c 'hisi_qm\\|wd_iommu' {PAGE_OWNER}", timeout=900)) > 0
    assert machine.sh("dmesg | grep -i 'kmemleak.*disabled' || true") == ""
    machine.sh("wd-modules unload")
    assert not lost_objects(machine)
    assert not lost_pages(machine)
    assert not machine.power_off()
