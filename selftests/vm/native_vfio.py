# SPDX-License-Identifier: Apache-2.0
"""Linux's own VFIO in the guest: its modules, and the driver of a function.

@guest is an object with sh(): a Machine, or the host of a test.
"""

import os

UNSAFE = "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"


def prepare(guest):
    """Loads vfio-pci and type 1, and lets them take devices without interrupt remapping."""
    guest.sh("modprobe -a vfio_iommu_type1 vfio-pci")
    allow_unsafe_interrupts(guest, True)


def allow_unsafe_interrupts(guest, allow):
    """Sets the option of type 1."""
    guest.sh(f"echo {int(allow)} >{UNSAFE}")


def bind(guest, address, driver):
    """Gives the function to @driver."""
    guest.sh(f"cd /sys/bus/pci/devices/{address}; echo {driver} >driver_override; "
             f"[ ! -e driver ] || echo {address} >driver/unbind; "
             f"echo {address} >/sys/bus/pci/drivers_probe; "
             f"[ $(basename $(readlink driver)) = {driver} ]")


def address_of(guest, device):
    """PCI address of a device of class uacce."""
    return os.path.basename(guest.sh(f"readlink -f /sys/class/uacce/{device}/device").strip())
