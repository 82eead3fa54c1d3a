/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables by which drivers say which devices they drive.
 */
#ifndef _LINUX_MOD_DEVICETABLE_H
#define _LINUX_MOD_DEVICETABLE_H

#include <linux/types.h>

#define PCI_ANY_ID (~0)

/**
 * struct pci_device_id - PCI functions that a driver drives
 * @vendor, @device, @subvendor, @subdevice: identity, or PCI_ANY_ID
 * @class: class, subclass and programming interface (pci_class in C++)
 * @class_mask: bits of the class that must agree
 * @driver_data: the driver's own
 * @override_only: matches only through driver_override
 */
struct pci_device_id {
	__u32 vendor, device;
	__u32 subvendor, subdevice;
#ifdef __cplusplus
	__u32 pci_class, class_mask;
#else
	__u32 class, class_mask;
#endif
	unsigned long driver_data;
	__u32 override_only;
};

#endif /* _LINUX_MOD_DEVICETABLE_H */
