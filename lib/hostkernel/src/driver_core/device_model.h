/* SPDX-License-Identifier: GPL-2.0-only */
/* Between the files of the device model. */
#pragma once

#include <atomic>
#include <cstdarg>
#include <list>
#include <string>
#include <vector>

#include <linux/device.h>

#include "fs/sysfs_tree.h"

/** The device core's data of a device beside its public fields. */
struct device_private {
	std::list<device *> children; /* under the model lock */
	bool registered = false;
	bool dead = false;
	std::atomic<bool> bound = false; /* its probe has succeeded, and it is not being unbound */
	wd::hostkernel::SysfsNode *glue = nullptr; /* directory of its class below its parent */
};

/** Of a bus or a class. */
struct subsys_private {
	struct mutex mutex; /* lists; not held while callbacks of drivers run */
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

/** Devices that were initialised and not released yet. */
uint64_t deviceCount();

/** Buses: parts of device_add() and device_del(). */
int busAddDevice(device *dev);
void busProbeDevice(device *dev);
void busRemoveDevice(device *dev);
void busNotify(device *dev, unsigned long action);

/** Links: -EPROBE_DEFER if a supplier of @consumer has no driver. */
int linksCheckSuppliers(device *consumer);
/** @supplier has a driver: consumers that waited for it are probed. */
void linksDriverBound(device *supplier);
/** @supplier is about to lose its driver, without its lock held: its consumers lose theirs. */
void linksUnbindConsumers(device *supplier);

void devresReleaseAll(device *dev);

/** /sys/devices, /sys/bus, /sys/class, the platform bus; and the reverse. */
int deviceModelStart();
void deviceModelStop();
SysfsNode *devicesDirectory();

/** Character device nodes: /dev/<name> refers to @devt. */
void deviceNodeAdd(const std::string &name, dev_t devt);
/** Removes it by number: asking the driver for the name again may fail. */
void deviceNodeRemove(dev_t devt);
std::string deviceNodeName(device *dev);

} // namespace wd::hostkernel
