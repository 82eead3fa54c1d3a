/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables in which drivers list the devices that they drive. */
#ifndef _LINUX_MOD_DEVICETABLE_H
#define _LINUX_MOD_DEVICETABLE_H

#include <linux/device/class.h>
#include <linux/types.h>

#define PCI_ANY_ID (~0)

/**
 * struct pci_device_id - PCI functions that a driver drives
 * @vendor, @device, @subvendor, @subdevice: identity, or PCI_ANY_ID
 * @class: class, subclass and programming interface (class_ in C++)
 * @class_mask: bits of the class that must agree
 * @driver_data: for the driver
 * @override_only: the row matches only if driver_override names the driver
 */
struct pci_device_id {
	__u32 vendor, device;
	__u32 subvendor, subdevice;
	__u32 WD_CLASS, class_mask;
	unsigned long driver_data;
	__u32 override_only;
};

#endif /* _LINUX_MOD_DEVICETABLE_H */
