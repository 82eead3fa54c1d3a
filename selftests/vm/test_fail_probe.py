# SPDX-License-Identifier: Apache-2.0
"""The accelerator driver's probe, and interrupts of wd_vfio, with fault injection, in machines of their own.

Linux 6.1 itself cannot handle some of the failures: if it could not make a folder of /proc/irq, the later removal
causes a WARNING. Only this one is accepted.
"""

import re

import pytest

from vm import initramfs
from vm.console import is_bad
from vm.leaks import has_option, lost_objects
from vm.machine import Machine, default_config

OURS = re.compile(r"\[(?:hisi_qm|hisi_sec|hisi_zip|iommufd|wd_iommu|wd_mover|wd_vfio)\]")


def traces(lines):
    """Ranges of line numbers, one for each trace of the kernel, from "cut here" to its end."""
    found, start = [], None
    for number, line in enumerate(lines):
        if "[ cut here ]" in line:
            start = number
        elif "---[ end trace" in line and start is not None:
            found.append(range(start, number + 1))
            start = None
    return found


def linux_complains_of_itself(lines):
    """True if this trace is the warning about /proc/irq, and nothing else."""
    bad = [line for line in lines if is_bad(line)]
    return (len(bad) == 2 and "WARNING: " in bad[0] and "remove_proc_entry+" in bad[0]
            and "Call Trace:" in bad[1] and any("unregister_irq_proc+" in line for line in lines))


def other_problems(console):
    """Bad lines of the console, except lines of that warning."""
    let_through = set()
    for trace in traces(console.lines):
        if linux_complains_of_itself([console.lines[i] for i in trace]):
            let_through.update(trace)
    return ["\n".join(console.lines[i:i + 30]) for i in console.bad if i not in let_through]


def a_trace(*middle):
    return ["------------[ cut here ]------------", *middle,
            "---[ end trace 0000000000000000 ]---"]


WARNING = "WARNING: CPU: 1 PID: 100 at fs/proc/generic.c:718 remove_proc_entry+0x21a/0x3f0"
CALLER = " unregister_irq_proc+0x15f/0x260"


def test_only_that_one_warning_is_let_through():
    far = ["R12: 0000000000000000"] * 40
    lines = a_trace(WARNING, *far, "Call Trace:", *far, CALLER)
    assert linux_complains_of_itself(lines)
    assert traces(["a", *lines, "b"]) == [range(1, 1 + len(lines))]
    assert traces(lines[:-1]) == []
    for other in (a_trace(WARNING, "Call Trace:", " kfree+0x1/0x2"),
                  a_trace(WARNING.replace("remove_proc_entry", "zip_probe"), "Call Trace:", CALLER),
                  a_trace(WARNING, "Call Trace:", CALLER, "BUG: KASAN: use-after-free in x+0x1"),
                  a_trace("BUG: KASAN: use-after-free in zip_probe+0x1/0x2", "Call Trace:", CALLER)):
        assert not linux_complains_of_itself(other), other


def run_alone(build, name, **options):
    """Runs the program @name in its own machine. Returns its output."""
    machine = Machine(default_config(build))
    if not has_option(machine.kernel, "FAULT_INJECTION"):
        pytest.skip("this kernel injects no failures")
    program = next(p for p in initramfs.programs(build)[0] if p.name == name)
    with machine:
        machine.load_modules()
        run = machine.run([str(program)], timeout=3000, **options)
        output = run.stdout + run.stderr
        assert run.returncode == 0 and "\nok 1 " in run.stdout, output
        problems = other_problems(machine.console)
        assert not problems, problems[0]
        # The modules must still be loaded, so that reports of leaks have their names.
        lost = [found for found in lost_objects(machine) if OURS.search(found)]
        assert not lost, lost[0]
    return run.stdout


@pytest.mark.only_on("vm", reason="the kernel must fail on request")
def test_probe_with_every_allocation_failing(build):
    run_alone(build, "fault_probe")


@pytest.mark.only_on("vm", reason="the kernel must fail on request")
def test_interrupts_with_every_allocation_failing(build):
    assert "# SKIP" not in run_alone(build, "fail_vfio", env={"WD_FAIL_IRQS": "1"})
