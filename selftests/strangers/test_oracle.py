# SPDX-License-Identifier: Apache-2.0
"""Our own programs for /dev/iommu on Linux 7.2's own iommufd: Linux must do what they expect.

A case may be skipped there, but only for a reason of this table. Documentation/contributing/strangers.rst tells more.
"""

import re

import oracle
import pytest

from vm import machine  # pylint: disable=import-error

# Cases of each program, and which of them are skipped: they need VT-d, or a difference is deliberate.
PROGRAMS = {
    "abi": (6, set()),
    "ioas": (6, set()),
    "map": (7, set()),
    "map_file": (7, {5}),  # IOMMUFD-FILE-3
    "copy": (4, set()),
    "option": (3, set()),
    "vfio_compat": (3, set()),
    "change_process": (3, {3}),  # Linux 7.2.13 warns
    "hwpt": (6, set()),
    "nesting": (8, {1, 2, 3, 4, 5, 7}),  # tables of VT-d
}
TIMEOUT_S = 300


@pytest.fixture(name="guest", scope="module")
def fixture_guest(build):
    config = machine.default_config(build)
    config.machine = None
    config.kernel = str(oracle.kernel(build))
    config.own_modules = False
    with machine.Machine(config) as guest:
        # The library asks for a driver of this project before it uses /dev/iommu. Let it find one.
        guest.sh("mount -t tmpfs none /sys/bus/pci/drivers && mkdir /sys/bus/pci/drivers/wd_vfio")
        guest.sh("echo 16 >/proc/sys/vm/nr_hugepages")
        yield guest
        assert not guest.power_off()


@pytest.mark.parametrize("program", PROGRAMS)
def test_linux_does_what_our_programs_expect(guest, program):
    run = guest.run([f"/selftests/iommufd/iommufd_{program}"], env={"WD_HOST": "native"}, timeout=TIMEOUT_S)
    cases, skipped = PROGRAMS[program]
    found = re.findall(r"^(ok|not ok) (\d+) ([^#\n]*)(# SKIP)?", run.stdout, re.M)
    print(run.stdout)
    assert len(found) == cases
    assert [name for result, _, name, _ in found if result != "ok"] == []
    assert {int(number) for _, number, _, skip in found if skip} == skipped
