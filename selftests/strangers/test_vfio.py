# SPDX-License-Identifier: Apache-2.0
"""Linux 7.2's own tests of VFIO on a function of wd_vfio, by device file and by group.

Documentation/contributing/strangers.rst has the table of what fails and why. A case that fails without being there
fails this test, and so does one that is there and passes.
"""

import re

import pytest
import source
from outcome import results

from vm import machine  # pylint: disable=import-error

ADDRESS = "0000:b5:00.0"  # the second accelerator of the machine "two-socket"
# Cases by program.
PROGRAMS = {
    "vfio_iommufd_setup_test": 6,
    "vfio_pci_device_test": 5,
    "vfio_pci_device_init_perf_test": 5,
    "vfio_dma_mapping_test": 30,
    "vfio_dma_mapping_mmio_test": 15,
}
# What fails, and why.
KNOWN = (
    # Without interrupt remapping Linux gives a function one MSI message.
    r"vfio_pci_irq_test\.msi\.enable_trigger_disable",
    # iommufd as /dev/vfio/vfio maps no BARs by their addresses in a process, on Linux neither.
    r"vfio_dma_mapping_mmio_test\.vfio_type1(v2)?_iommu\..*",
)
# What the programs themselves skip: there is no memory for pages of 1 GiB.
SKIPPED = re.compile(r"vfio_dma_mapping_test\..*_hugetlb_1gb\.")
LOAD = "modprobe wd_iommu && modprobe iommufd vfio_container=1 allow_unsafe_interrupts=1 && modprobe wd_vfio"
TIMEOUT_S = 1200


@pytest.fixture(name="guest", scope="module")
def fixture_guest(build, tmp_path_factory):
    folder = source.vfio_programs(build, tmp_path_factory.mktemp("vfio"))
    config = machine.default_config(build)
    config.machine = "two-socket"
    config.share = (str(folder),)
    with machine.Machine(config) as guest:
        guest.folder = folder
        guest.sh(LOAD)
        guest.sh(f"cd /sys/bus/pci/devices/{ADDRESS} && echo wd_vfio >driver_override && "
                 f"echo {ADDRESS} >/sys/bus/pci/drivers_probe && [ $(basename $(readlink driver)) = wd_vfio ]")
        guest.sh("echo 16 >/proc/sys/vm/nr_hugepages")
        yield guest
        assert not guest.power_off()


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_case_passes(guest, program):
    run = guest.run([str(guest.folder / program), ADDRESS], timeout=TIMEOUT_S)
    found = results(run.stdout)
    print(run.stderr)
    assert len(found) == PROGRAMS[program]
    failed = [case for case, result in found.items() if result == "not ok"]
    expected = [case for case in found if any(re.fullmatch(pattern, case) for pattern in KNOWN)]
    assert failed == expected
    assert [case for case, result in found.items() if result == "skip" and not SKIPPED.match(case)] == []
