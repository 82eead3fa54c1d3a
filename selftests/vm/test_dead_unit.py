# SPDX-License-Identifier: Apache-2.0
"""The IOMMU unit dies while a driver of Linux and one of ours have functions: which driver keeps its function, and
which gets it back.

The test switches the unit's queue off without its driver, so /dev/mem must be able to reach registers.
"""

import dataclasses

import pytest

from vm.machine import Machine, default_config
from vm.native_vfio import address_of, bind, prepare

DEVICES = "/sys/bus/pci/devices"
GCMD = 0x18
TRANSLATION_ALONE = 0x80000000
TIMEOUT_S = 600

pytestmark = pytest.mark.only_on("vm", reason="about Linux's driver core and its VFIO")


def driver_of(guest, address):
    return guest.sh(f"[ ! -e {DEVICES}/{address}/driver ] || "
                    f"basename $(readlink {DEVICES}/{address}/driver)").strip()


def await_driver(guest, address, wanted):
    """Waits until the function has the driver @wanted, or none if that is empty."""
    guest.sh(f"""while :; do
        now=$(readlink {DEVICES}/{address}/driver || true)
        [ "${{now##*/}}" != "{wanted}" ] || break
        sleep 0.1
    done""", timeout=TIMEOUT_S)


def is_master(guest, address):
    return bool(int(guest.sh(f"od -An -tu1 -j4 -N1 {DEVICES}/{address}/config")) & 4)


def kill_unit(guest, unit):
    guest.sh(f"""bar=$(head -n1 {DEVICES}/{unit}/resource | cut -d' ' -f1)
        devmem $((bar + {GCMD})) 32 {TRANSLATION_ALONE}""")
    guest.run(["sh", "-c", "wdctl attach --device hisi_zip-0 --pasid auto"])


def test_who_keeps_a_function(build):
    with Machine(dataclasses.replace(default_config(build), append="iomem=relaxed")) as guest:
        guest.load_modules()
        ours, theirs = address_of(guest, "hisi_zip-0"), address_of(guest, "hisi_zip-1")
        prepare(guest)
        bind(guest, theirs, "vfio-pci")
        unit = guest.sh(f"basename $(readlink -f {DEVICES}/{theirs}/iommu/device)").strip()
        state = f"{DEVICES}/{unit}/iommu/*/state"
        kill_unit(guest, unit)
        assert guest.sh(f"cat {state}").strip() == "dead"
        await_driver(guest, theirs, "")
        guest.sh(f"! echo {theirs} >/sys/bus/pci/drivers/vfio-pci/bind")
        assert not is_master(guest, theirs) and not is_master(guest, ours)
        assert driver_of(guest, ours) == "hisi_zip"
        guest.sh(f"cd /sys/bus/pci/drivers/wd_iommu; echo {unit} >unbind; echo {unit} >bind")
        assert guest.sh(f"cat {state}").strip() == "live"
        await_driver(guest, ours, "hisi_zip")
        await_driver(guest, theirs, "vfio-pci")
        guest.sh("wdctl attach --device hisi_zip-0 --pasid auto")
        found = guest.problems() + guest.power_off(len(guest.console.lines))
    assert not found, "\n".join(found)
