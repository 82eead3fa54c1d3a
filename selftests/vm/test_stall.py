# SPDX-License-Identifier: Apache-2.0
"""The hardware does not answer for some seconds, and then does again: late is not dead."""

import time

import pytest

from vm import initramfs
from vm.machine import Machine, default_config

STALL_S = 3  # the driver gives the unit 2 s
TIMEOUT_S = 1800
MAPPER = """
touch /tmp/going
for round in $(seq 20); do
    "$1" >/tmp/mapper.log || { cat /tmp/mapper.log; exit 1; }
done
"""

pytestmark = pytest.mark.only_on("vm", reason="hosted, the model has a switch for that")


def test_a_stall_kills_no_unit(build):
    program = next(p for p in initramfs.programs(build)[0] if p.name == "iommufd_map")
    with Machine(default_config(build)) as guest:
        guest.load_modules()
        with guest.popen(["sh", "-c", MAPPER, "sh", program]) as mapper:
            guest.sh("while [ ! -e /tmp/going ]; do sleep 0.1; done", timeout=TIMEOUT_S)
            for _ in range(2):
                with guest.devices_stopped():
                    time.sleep(STALL_S)  # not a wait: this is what happens
            assert mapper.wait(TIMEOUT_S) == 0, mapper.stdout.read() + guest.tail(60)
        assert set(guest.sh("cat /sys/class/iommu/*/state").split()) == {"live"}
        assert guest.sh("cat /sys/class/iommu/*/leaked_pages").split() == ["0"]
        found = guest.problems() + guest.power_off(len(guest.console.lines))
    assert not found, "\n".join(found)
