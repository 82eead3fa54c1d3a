/* SPDX-License-Identifier: GPL-2.0-only */
/* The platform bus has no devices. It exists because registering an IOMMU walks over it. */
#ifndef _PLATFORM_DEVICE_H_
#define _PLATFORM_DEVICE_H_

#include <linux/device.h>

WD_BEGIN_DECLS
extern struct bus_type platform_bus_type;
WD_END_DECLS

#endif /* _PLATFORM_DEVICE_H_ */
