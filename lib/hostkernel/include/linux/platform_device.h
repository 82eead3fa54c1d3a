/* SPDX-License-Identifier: GPL-2.0-only */
/* The platform bus has the devices that modules register, and no drivers. */
#ifndef _PLATFORM_DEVICE_H_
#define _PLATFORM_DEVICE_H_

#include <linux/container_of.h>
#include <linux/device.h>

struct platform_device {
	const char *name;
	int id;
	struct device dev;
};

#define to_platform_device(x) container_of((x), struct platform_device, dev)

WD_BEGIN_DECLS
extern struct bus_type platform_bus_type;

/* @pdev.dev.release is set. After an error it is to be put. */
int platform_device_register(struct platform_device *pdev);
void platform_device_unregister(struct platform_device *pdev);
void platform_device_put(struct platform_device *pdev);
WD_END_DECLS

#endif /* _PLATFORM_DEVICE_H_ */
