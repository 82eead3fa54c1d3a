# SPDX-License-Identifier: Apache-2.0
"""Linux 7.2's own tests of /dev/iommu on our /dev/iommu, with the module of tests.

Every case has to pass, or to be skipped for a reason that the program itself has.
"""

import os
import re

import pytest
import source
from outcome import results

from vm import kernel, machine  # pylint: disable=import-error

CASES = 246
CHAINS = 8
# What upstream's program itself skips.
SKIPPED = re.compile(r"iommufd_viommu\.no_viommu\.")
LOAD = "modprobe wd_iommu && modprobe iommufd && modprobe wd_iommufd_test"
TIMEOUT_S = 3000
DEBUG_KERNEL = bool(os.environ.get("WD_VM_KERNEL"))


def start(build, tmp_path, **options):
    config = machine.default_config(build)
    config.machine = None  # Linux 6.1 has one IOMMU driver at a time
    config.share = (str(source.programs(build, tmp_path)),)
    for name, value in options.items():
        setattr(config, name, value)
    return machine.Machine(config)


@pytest.mark.skipif(DEBUG_KERNEL, reason="a case has 30 s, and takes longer on a debug kernel")
def test_every_case_passes(build, tmp_path):
    with start(build, tmp_path) as guest:
        guest.sh(f"{LOAD} && echo 64 >/proc/sys/vm/nr_hugepages")
        run = guest.run([str(tmp_path / "iommufd")], timeout=TIMEOUT_S)
        problems = guest.power_off()
    found = results(run.stdout)
    print(run.stderr)
    assert len(found) == CASES
    assert [case for case, result in found.items() if result == "not ok"] == []
    assert [case for case, result in found.items() if result == "skip" and not SKIPPED.match(case)] == []
    assert not problems


@pytest.mark.skipif(not DEBUG_KERNEL, reason="needs fault injection: WD_VM_KERNEL names a debug kernel")
def test_every_chain_of_failures(build, tmp_path):
    with start(build, tmp_path) as guest:
        guest.sh(f"{LOAD}; [ -e /sys/kernel/debug/failslab ] || mount -t debugfs none /sys/kernel/debug")
        # A chain has 30 s, and makes thousands of devices. Their messages would take most of the time.
        guest.sh("echo 5 >/proc/sys/kernel/printk")
        # Nothing looks for leaks here, and kmemleak's notes of each allocation would take half of the time.
        guest.sh("[ ! -e /sys/kernel/debug/kmemleak ] || echo off >/sys/kernel/debug/kmemleak")
        run = guest.run([str(tmp_path / "iommufd_fail_nth")], timeout=TIMEOUT_S)
        problems = guest.power_off()
    found = results(run.stdout)
    print(run.stderr)
    assert len(found) == CHAINS
    late = set(re.findall(r"# (\w+): Test terminated by timeout", run.stdout + run.stderr))
    assert [case for case, result in found.items() if result != "ok" and case.split(".")[-1] not in late] == []
    assert not problems
    if late:
        pytest.skip(f"this machine is too slow, after 30 s without an error: {', '.join(sorted(late))}")


def test_results_are_read():
    text = "TAP version 13\nok 1 a.v.b\nnot ok 2 a.w.b\nok 3 a.x.b # SKIP reason\n# not ok 4 c\n"
    assert results(text) == {"a.v.b": "ok", "a.w.b": "not ok", "a.x.b": "skip"}
    assert kernel.OUR_MODULES[-1].endswith("wd_iommufd_test.ko")
