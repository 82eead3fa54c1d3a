/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables by which drivers say which devices they drive.
 */
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
 * @driver_data: the driver's own
 * @override_only: matches only through driver_override
 */
struct pci_device_id {
	__u32 vendor, device;
	__u32 subvendor, subdevice;
	__u32 WD_CLASS, class_mask;
	unsigned long driver_data;
	__u32 override_only;
};

#endif /* _LINUX_MOD_DEVICETABLE_H */
