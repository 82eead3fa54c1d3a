/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Assigned numbers of the PCI classes and vendors that our drivers name.
 */
#ifndef _LINUX_PCI_IDS_H
#define _LINUX_PCI_IDS_H

#define PCI_CLASS_NOT_DEFINED 0x0000
#define PCI_BASE_CLASS_BRIDGE 0x06
#define PCI_CLASS_BRIDGE_HOST 0x0600
#define PCI_CLASS_BRIDGE_ISA 0x0601
#define PCI_CLASS_BRIDGE_PCI 0x0604
#define PCI_BASE_CLASS_SYSTEM 0x08
#define PCI_CLASS_SYSTEM_OTHER 0x0880
#define PCI_BASE_CLASS_CRYPT 0x10
#define PCI_CLASS_OTHERS 0xff

#define PCI_VENDOR_ID_INTEL 0x8086
#define PCI_VENDOR_ID_HUAWEI 0x19e5
#define PCI_DEVICE_ID_HUAWEI_ZIP_VF 0xa251
#define PCI_DEVICE_ID_HUAWEI_SEC_VF 0xa256
#define PCI_DEVICE_ID_HUAWEI_HPRE_VF 0xa259

#endif /* _LINUX_PCI_IDS_H */
