/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a KTAP program begins that owns a whole accelerator. The functions are in the program itself,
 * since ktap.h keeps there why it skips. They return 0, or -errno; if they skip all cases, device is
 * closed.
 */
#ifndef SELFTESTS_VFIO_OWNER_SET_UP_H
#define SELFTESTS_VFIO_OWNER_SET_UP_H

#include <errno.h>
#include <stdlib.h>

#include "../../common/ktap.h"
#include "owner.h"

/** Open an accelerator, where interrupts need not be remapped. */
static inline int owner_open_device(struct device *device)
{
	int ret;

	/* In a hosted kernel before it boots, in a real one now. */
	setenv("WD_PARAM_iommufd_allow_unsafe_interrupts", "1", 1);
	ret = device_open(device);
	if (ret == -ENODEV)
		return ktap_skip_all("no accelerator");
	if (!ret)
		wd_host_sysfs_write(device->host,
				    "/sys/module/iommufd/parameters/allow_unsafe_interrupts", "1");
	return ret;
}

/** Choose another accelerator than @device for @owner. Its driver keeps it for now. */
static inline int owner_choose(struct device *device, struct owner *owner)
{
	int ret = owner_find(device, owner->address);

	owner->host = device->host;
	if (ret != -ENODEV)
		return ret;
	device_close(device);
	return ktap_skip_all("no second accelerator");
}

/** Choose another accelerator than @device, and give it to wd_vfio. */
static inline int owner_take(struct device *device, struct owner *owner)
{
	int ret = owner_choose(device, owner);

	return ret ? ret : owner_give(owner->host, owner->address, "wd_vfio");
}

#endif /* SELFTESTS_VFIO_OWNER_SET_UP_H */
