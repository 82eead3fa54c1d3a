// SPDX-License-Identifier: GPL-2.0-only
/* Devices of the platform bus, called NAME.ID. */
#include <linux/platform_device.h>

int platform_device_register(struct platform_device *pdev)
{
	device_initialize(&pdev->dev);
	pdev->dev.bus = &platform_bus_type;
	int rc = dev_set_name(&pdev->dev, "%s.%d", pdev->name, pdev->id);
	return rc ? rc : device_add(&pdev->dev);
}

void platform_device_unregister(struct platform_device *pdev)
{
	device_del(&pdev->dev);
	put_device(&pdev->dev);
}

void platform_device_put(struct platform_device *pdev)
{
	put_device(&pdev->dev);
}
