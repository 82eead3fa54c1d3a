# SPDX-License-Identifier: Apache-2.0
"""QEMU as Debian packages it, inside the guest: it finds a function of wd_vfio and the IOMMU by the names of Linux,
and gives the function to a machine of its own.
"""

import dataclasses
import json
import re

import pytest

from vm import qemu, tracefs
from vm.machine import Machine, default_config
from vm.native_vfio import address_of, bind
from vm.tracefs import TRACING

RAM = 64 << 20
ZIP_IDS = (0x19e5, 0xa250)
TIMEOUT_S = 1800
MAPPED = re.compile(r": (iommufd_map\w*): ioas=\d+ iova=(\S+) length=(\S+) .*ret=0$", re.M)

pytestmark = pytest.mark.only_on("vm", reason="QEMU wants device files of a real kernel")


@pytest.fixture(name="guest", scope="module")
def fixture_guest(build):
    config = dataclasses.replace(default_config(build), memory="3G", share=(str(qemu.tree(build)),))
    with Machine(config) as guest:
        guest.load_modules()
        tracefs.mount(guest)
        guest.sh(f"""echo 1 >{TRACING}/events/iommufd/enable
            echo 1 >/sys/module/iommufd/parameters/allow_unsafe_interrupts""")
        yield guest
        found = guest.problems() + guest.power_off(len(guest.console.lines))
    assert not found, "\n".join(found)


def functions_of_machine(guest, build, *options):
    """Makes a machine whose processor stands still, and asks it for the ids of its functions."""
    words = ["qmp_capabilities", "query-pci", "quit"]
    run = guest.run([*qemu.command(build), "-machine", "q35", "-accel", "tcg", "-nodefaults", "-display", "none",
                     "-S", "-qmp", "stdio", *options], timeout=TIMEOUT_S,
                    input="".join(json.dumps({"execute": word}) + "\n" for word in words))
    assert run.returncode == 0, run.stdout + run.stderr
    answers = [json.loads(line).get("return") for line in run.stdout.splitlines()]
    buses = next(answer for answer in answers if isinstance(answer, list))
    return {(d["id"]["vendor"], d["id"]["device"]) for bus in buses for d in bus["devices"]}


@pytest.mark.parametrize("backend, share, request_name", [
    ("memory-backend-memfd", "on", "iommufd_map_file"),
    ("memory-backend-ram", "off", "iommufd_map"),
])
def test_a_function_in_a_machine_of_qemu(guest, build, backend, share, request_name):
    address = address_of(guest, "hisi_zip-0")
    bind(guest, address, "wd_vfio")
    tracefs.clear(guest)
    functions = functions_of_machine(
        guest, build, "-m", f"{RAM}b", "-object", f"{backend},id=ram,size={RAM},share={share}",
        "-machine", "memory-backend=ram", "-object", "iommufd,id=iommufd0",
        "-device", f"vfio-pci,host={address},iommufd=iommufd0")
    bind(guest, address, "hisi_zip")
    trace = guest.sh(f"cat {TRACING}/trace")
    assert ZIP_IDS in functions
    # The first mapping is all of the RAM; firmware and its holes come later.
    assert MAPPED.findall(trace)[0] == (request_name, "0x0", hex(RAM)), trace
    assert "iommufd_detach" in trace and "iommufd_hwpt_free" in trace, trace
    assert guest.sh("cat /sys/class/iommu/*/leaked_pages").split() == ["0"]


def test_without_a_right_qemu_says_why(guest, build):
    """Nothing checks interrupt messages, so the administrator has to allow it; the kernel's log names the parameter."""
    address = address_of(guest, "hisi_zip-0")
    bind(guest, address, "wd_vfio")
    guest.sh("echo 0 >/sys/module/iommufd/parameters/allow_unsafe_interrupts")
    with pytest.raises(AssertionError, match="Operation not permitted"):
        functions_of_machine(guest, build, "-object", "iommufd,id=iommufd0",
                             "-device", f"vfio-pci,host={address},iommufd=iommufd0")
    assert f"{address}: not for users" in guest.sh("dmesg | grep allow_unsafe_interrupts")
    guest.sh("echo 1 >/sys/module/iommufd/parameters/allow_unsafe_interrupts")
    bind(guest, address, "hisi_zip")
