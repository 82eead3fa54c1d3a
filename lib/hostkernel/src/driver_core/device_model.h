/* SPDX-License-Identifier: GPL-2.0-only */
/* Data and functions that the files of the device model share. */
#pragma once

#include <atomic>
#include <cstdarg>
#include <list>
#include <string>
#include <vector>

#include <linux/device.h>

#include "fs/sysfs_tree.h"

/** Data of a device that only the device core uses. */
struct device_private {
	std::list<device *> children; /* under the model lock */
	std::atomic<bool> registered = false;
	bool dead = false;
	std::atomic<bool> bound = false;	   /* from a successful probe until it is unbound */
	wd::hostkernel::SysfsNode *glue = nullptr; /* directory of its class below its parent */
};

/** Private data of a bus or a class. */
struct subsys_private {
	struct mutex mutex; /* protects the lists; not held while callbacks of drivers run */
	std::list<device *> devices;
	std::list<device_driver *> drivers;
	blocking_notifier_head notifier;
	wd::hostkernel::SysfsNode *directory = nullptr, *deviceLinks = nullptr,
				  *driverDirs = nullptr;
};

struct driver_private {
	kobject kobj; /* its directory, for attributes */
	device_driver *driver;
};

namespace wd::hostkernel
{

/* kobjects */
int kobjectAddAt(kobject *kobj, SysfsNode *directory);
int kobjectSetName(kobject *kobj, const char *fmt, va_list args);

/** Number of devices that were initialised and are not released yet. */
uint64_t deviceCount();

/** The parts of device_add() and device_del() that concern the bus. */
int busAddDevice(device *dev);
void busProbeDevice(device *dev);
void busRemoveDevice(device *dev);
void busNotify(device *dev, unsigned long action);

/** 0, or -EPROBE_DEFER if a supplier of @consumer has no driver. */
int linksCheckSuppliers(device *consumer);
/** @supplier has a driver now: probe the consumers that waited for it. */
void linksDriverBound(device *supplier);
/**
 * @supplier is about to lose its driver: take their drivers from its consumers. The caller does not
 * hold the lock of @supplier.
 */
void linksUnbindConsumers(device *supplier);

/** Make /sys/devices, /sys/bus, /sys/class and the platform bus, and remove them. */
int deviceModelStart();
void deviceModelStop();
SysfsNode *devicesDirectory();

/** Make the node /dev/<name> of the character device @devt. */
void deviceNodeAdd(const std::string &name, dev_t devt);
/** Remove the node by its number, since asking the driver for the name again may fail. */
void deviceNodeRemove(dev_t devt);
std::string deviceNodeName(device *dev);

} // namespace wd::hostkernel
