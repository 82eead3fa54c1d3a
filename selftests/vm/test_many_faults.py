# SPDX-License-Identifier: Apache-2.0
"""Ten thousand page faults at once in a real kernel.

A function may have 512 open page requests, so this needs its own machine, with 20 accelerators.
"""

import dataclasses
import json
import re

import pytest

from vm import initramfs
from vm.machine import Machine, default_config

ACCELERATORS = 20


def description():
    """A machine with one node and many accelerators, each on a bus of its own."""
    return {
        "name": "many",
        "nodes": [{"id": 0, "cpus": "0", "memory": "1G", "distances": [10]}],
        "iommu": {"address": "0000:00:02.0", "node": 0},
        "accelerators": [{"address": f"0000:{0x10 + i:02x}:00.0", "node": 0, "queues": 64}
                         for i in range(ACCELERATORS)],
    }


@pytest.mark.only_on("vm", reason="the hosted program brings its own machine")
def test_ten_thousand_page_faults(build, tmp_path):
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(description()), encoding="utf-8")
    program = next(p for p in initramfs.programs(build)[0] if p.name == "many_faults")
    with Machine(dataclasses.replace(default_config(build), machine=str(path))) as machine:
        machine.load_modules()
        run = machine.run([str(program)], timeout=600)
        assert run.returncode == 0, run.stdout + run.stderr
        found = re.search(r"# (\d+) faults in 1000 groups outstanding over 1000 PASIDs", run.stdout)
        assert found and 9000 <= int(found.group(1)) <= 10000, run.stdout
        assert "\nok 1 " in run.stdout
        assert not machine.console.problems(), machine.console.report()
