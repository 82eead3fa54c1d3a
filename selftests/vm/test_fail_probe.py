# SPDX-License-Identifier: Apache-2.0
"""The accelerator driver's probe under fault injection, in a machine of its own.

Linux 6.1 itself does not stand some of the failures: when a folder of /proc/irq could not be made,
removing it later is a WARNING. Only that one is let through.
"""

import re

import pytest

from vm import initramfs
from vm.leaks import has_option, lost_objects
from vm.machine import Machine, default_config

OURS = re.compile(r"\[(?:hisi_qm|hisi_zip|iommufd|wd_iommu)\]")


def linux_complains_of_itself(problem):
    """Is this, with what follows it, the warning about /proc/irq?"""
    return "remove_proc_entry" in problem and "unregister_irq_proc" in problem


def test_only_that_one_warning_is_let_through():
    trace = "remove_proc_entry+0x21a/0x3f0\nunregister_irq_proc+0x15f/0x260"
    assert linux_complains_of_itself("WARNING: CPU: 1 PID: 100 at " + trace)
    assert not linux_complains_of_itself("WARNING: CPU: 1 PID: 100 at remove_proc_entry+0x2/0x3")
    assert not linux_complains_of_itself("BUG: KASAN: use-after-free in zip_probe+0x1/0x2")


@pytest.mark.only_on("vm", reason="the kernel must fail on request")
def test_probe_with_every_allocation_failing(build):
    machine = Machine(default_config(build))
    if not has_option(machine.kernel, "FAULT_INJECTION"):
        pytest.skip("this kernel injects no failures")
    program = next(p for p in initramfs.programs(build)[0] if p.name == "fault_probe")
    with machine:
        machine.load_modules()
        run = machine.run([str(program)], timeout=3000)
        output = run.stdout + run.stderr
        assert run.returncode == 0 and "\nok 1 " in run.stdout, output
        problems = [p for p in machine.console.problems() if not linux_complains_of_itself(p)]
        assert not problems, problems[0]
        # With the modules still there, so that what they lost has their names in it.
        lost = [found for found in lost_objects(machine) if OURS.search(found)]
        assert not lost, lost[0]
