# SPDX-License-Identifier: Apache-2.0
"""Interrupt pins in a real kernel: QEMU asserts the line that the server tells of, Linux delivers it to wd_vfio.

Real accelerators have no pin, so this needs its own machine. Its functions are on bus 0, because INTx does not
get through QEMU's bridges between NUMA nodes.
"""

import dataclasses

import pytest

from project import ROOT  # pylint: disable=import-error
from vm import initramfs
from vm.machine import Machine, default_config


@pytest.mark.only_on("vm", reason="the hosted program is a test of its own")
def test_an_owner_uses_the_pin(build):
    programs = {p.name: p for p in initramfs.programs(build)[0]}
    description = ROOT / "selftests/ktap/vfio/with_pin.json"
    with Machine(dataclasses.replace(default_config(build), machine=str(description))) as machine:
        machine.load_modules()
        run = machine.run(["env", "WD_NEED_PIN=1", str(programs["own_pin"])], timeout=300)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "not ok" not in run.stdout and "SKIP" not in run.stdout, run.stdout
        run = machine.run([str(programs["own_function"])], timeout=600)
        assert run.returncode == 0, "messages of a function with a pin: " + run.stdout + run.stderr
        assert not machine.console.problems(), machine.console.report()
