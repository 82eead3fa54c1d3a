// SPDX-License-Identifier: GPL-2.0-only
/* Buses, drivers, and the binding of the two. */
#include "device_model.h"

#include <cstring>

#include <hosted/test_hooks.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

using namespace wd::hostkernel;

namespace
{

SysfsNode *busRoot;

SysfsTree &tree()
{
	return SysfsTree::instance();
}

/*
 * The devices of a bus at this moment, with references, so that callbacks can run without the lock
 * of the list.
 */
std::vector<device *> devicesOf(subsys_private *p)
{
	std::vector<device *> all;
	mutex_lock(&p->mutex);
	for (auto *dev : p->devices)
		all.push_back(get_device(dev));
	mutex_unlock(&p->mutex);
	return all;
}

std::vector<device_driver *> driversOf(subsys_private *p)
{
	mutex_lock(&p->mutex);
	std::vector<device_driver *> all(p->drivers.begin(), p->drivers.end());
	mutex_unlock(&p->mutex);
	return all;
}

template <class Visit>
int forEach(subsys_private *p, device *start, Visit visit)
{
	int ret = 0;
	bool started = !start;
	for (auto *dev : devicesOf(p)) {
		if (!ret && started)
			ret = visit(dev);
		started |= dev == start;
		put_device(dev);
	}
	return ret;
}

template <class Match>
device *findIn(subsys_private *p, device *start, Match match)
{
	device *found = nullptr;
	forEach(p, start, [&](device *dev) {
		if (!match(dev))
			return 0;
		found = get_device(dev);
		return 1;
	});
	return found;
}

SysfsNode *driverDirectory(device_driver *drv)
{
	return static_cast<SysfsNode *>(drv->p->kobj.sd);
}

void linkDriver(device *dev)
{
	auto *here = static_cast<SysfsNode *>(dev->kobj.sd);
	tree().addLink(here, "driver", driverDirectory(dev->driver));
	tree().addLink(driverDirectory(dev->driver), dev_name(dev), here);
}

void unlinkDriver(device *dev, device_driver *drv)
{
	tree().remove(static_cast<SysfsNode *>(dev->kobj.sd), "driver");
	tree().remove(driverDirectory(drv), dev_name(dev));
}

void unbindCleanup(device *dev)
{
	WRITE_ONCE(dev->driver, static_cast<device_driver *>(nullptr));
	dev_set_drvdata(dev, nullptr);
	dev_pm_set_driver_flags(dev, 0);
}

/* The caller holds the device lock. @return 0 if @dev is bound now, else the error of the probe. */
int probe(device *dev, device_driver *drv)
{
	int ret = dev->p->dead ? -ENODEV : linksCheckSuppliers(dev);
	if (ret)
		return ret;
	WRITE_ONCE(dev->driver, drv);
	const bool dma = dev->bus->dma_configure != nullptr;
	if (dma)
		ret = dev->bus->dma_configure(dev);
	if (ret)
		goto out;
	linkDriver(dev);
	busNotify(dev, BUS_NOTIFY_BIND_DRIVER);
	if (dev->bus->probe)
		ret = dev->bus->probe(dev);
	else if (drv->probe)
		ret = drv->probe(dev);
	if (!ret)
		ret = device_add_groups(dev, drv->dev_groups);
	if (!ret) {
		busNotify(dev, BUS_NOTIFY_BOUND_DRIVER);
		linksDriverBound(dev);
		return 0;
	}
	unlinkDriver(dev, drv);
	if (dma && dev->bus->dma_cleanup)
		dev->bus->dma_cleanup(dev);
out:
	unbindCleanup(dev);
	busNotify(dev, BUS_NOTIFY_DRIVER_NOT_BOUND);
	if (ret == -ENODEV || ret == -ENXIO)
		dev_dbg(dev, "probe of %s rejects\n", drv->name);
	else
		dev_warn(dev, "probe with driver %s failed with error %d\n", drv->name, ret);
	return ret;
}

bool matches(device *dev, device_driver *drv)
{
	return !drv->bus->match || drv->bus->match(dev, drv) > 0;
}

/* The caller holds the device lock, and the device has a driver. */
void releaseDriver(device *dev)
{
	device_driver *drv = dev->driver;
	busNotify(dev, BUS_NOTIFY_UNBIND_DRIVER);
	unlinkDriver(dev, drv);
	device_remove_groups(dev, drv->dev_groups);
	if (dev->bus->remove)
		dev->bus->remove(dev);
	else if (drv->remove)
		drv->remove(dev);
	if (dev->bus->dma_cleanup)
		dev->bus->dma_cleanup(dev);
	unbindCleanup(dev);
	busNotify(dev, BUS_NOTIFY_UNBOUND_DRIVER);
}

/* Unbind @dev from @drv, nullptr: from any. @return false if it has another driver or none. */
bool releaseFrom(device *dev, const device_driver *drv)
{
	if (!drv || READ_ONCE(dev->driver) == drv)
		linksUnbindConsumers(dev);
	device_lock(dev);
	const bool bound = dev->driver && (!drv || dev->driver == drv);
	if (bound)
		releaseDriver(dev);
	device_unlock(dev);
	return bound;
}

int attach(device *dev)
{
	if (dev->driver)
		return 1;
	for (auto *drv : driversOf(dev->bus->p))
		if (matches(dev, drv) && !probe(dev, drv))
			return 1;
	return 0;
}

ssize_t showDriver(kobject *kobj, attribute *attr, char *buf)
{
	auto *dattr = container_of(attr, driver_attribute, attr);
	device_driver *drv = container_of(kobj, driver_private, kobj)->driver;
	return dattr->show ? dattr->show(drv, buf) : -EIO;
}

ssize_t storeDriver(kobject *kobj, attribute *attr, const char *buf, size_t count)
{
	auto *dattr = container_of(attr, driver_attribute, attr);
	device_driver *drv = container_of(kobj, driver_private, kobj)->driver;
	return dattr->store ? dattr->store(drv, buf, count) : -EIO;
}

std::string trimmed(const char *buf, size_t count)
{
	std::string name(buf, count);
	while (!name.empty() && name.back() == '\n')
		name.pop_back();
	return name;
}

ssize_t storeBind(device_driver *drv, const char *buf, size_t count)
{
	device *dev = bus_find_device_by_name(drv->bus, nullptr, trimmed(buf, count).c_str());
	if (!dev)
		return -ENODEV;
	int ret = matches(dev, drv) ? device_driver_attach(drv, dev) : -ENODEV;
	put_device(dev);
	return ret ? ret : static_cast<ssize_t>(count);
}

ssize_t storeUnbind(device_driver *drv, const char *buf, size_t count)
{
	device *dev = bus_find_device_by_name(drv->bus, nullptr, trimmed(buf, count).c_str());
	if (!dev)
		return -ENODEV;
	const bool ours = releaseFrom(dev, drv);
	put_device(dev);
	return ours ? static_cast<ssize_t>(count) : -ENODEV;
}

/* The bus's file drivers_probe: look for a driver of a device that has none. */
ssize_t storeProbe(bus_type *bus, const char *buf, size_t count)
{
	device *dev = bus_find_device_by_name(bus, nullptr, trimmed(buf, count).c_str());
	if (!dev)
		return -ENODEV;
	const int ret = READ_ONCE(dev->driver) ? 0 : device_attach(dev);
	put_device(dev);
	return ret < 0 ? ret : static_cast<ssize_t>(count);
}

driver_attribute bindAttribute = {{"bind", 0200}, nullptr, storeBind};
driver_attribute unbindAttribute = {{"unbind", 0200}, nullptr, storeUnbind};
const sysfs_ops driverOps = {showDriver, storeDriver};
const kobj_type driverType = {
	[](kobject *kobj) { delete container_of(kobj, driver_private, kobj); }, &driverOps,
	nullptr};

} // namespace

struct bus_type platform_bus_type = {};

namespace wd::hostkernel
{

void busesStart()
{
	busRoot = tree().addDirectory(tree().root(), "bus");
}

int busAddDevice(device *dev)
{
	if (!dev->bus)
		return 0;
	subsys_private *p = dev->bus->p;
	if (!p)
		return -EINVAL;
	int ret = device_add_groups(dev, dev->bus->dev_groups);
	if (ret)
		return ret;
	auto *here = static_cast<SysfsNode *>(dev->kobj.sd);
	if (!tree().addLink(p->deviceLinks, dev_name(dev), here)) {
		device_remove_groups(dev, dev->bus->dev_groups);
		return -EEXIST;
	}
	tree().addLink(here, "subsystem", p->directory);
	mutex_lock(&p->mutex);
	p->devices.push_back(dev);
	mutex_unlock(&p->mutex);
	return 0;
}

void busProbeDevice(device *dev)
{
	if (dev->bus)
		(void)!device_attach(dev);
}

void busRemoveDevice(device *dev)
{
	if (!dev->bus)
		return;
	subsys_private *p = dev->bus->p;
	tree().remove(p->deviceLinks, dev_name(dev));
	mutex_lock(&p->mutex);
	p->devices.remove(dev);
	mutex_unlock(&p->mutex);
	device_release_driver(dev);
}

void busNotify(device *dev, unsigned long action)
{
	if (dev->bus)
		blocking_notifier_call_chain(&dev->bus->p->notifier, action, dev);
}

} // namespace wd::hostkernel

/* --- buses --- */

int bus_register(struct bus_type *bus)
{
	auto *p = new subsys_private;
	mutex_init(&p->mutex);
	BLOCKING_INIT_NOTIFIER_HEAD(&p->notifier);
	p->directory = tree().addDirectory(busRoot, bus->name);
	if (!p->directory) {
		delete p;
		return -EEXIST;
	}
	p->deviceLinks = tree().addDirectory(p->directory, "devices");
	p->driverDirs = tree().addDirectory(p->directory, "drivers");
	bus->p = p;
	tree().addFile(p->directory, "drivers_probe", {}, [bus](const char *text, size_t length) {
		return storeProbe(bus, text, length);
	});
	return 0;
}

void bus_unregister(struct bus_type *bus)
{
	subsys_private *p = bus->p;
	if (WARN_ON(!p))
		return;
	WARN(!p->devices.empty() || !p->drivers.empty(), "bus %s is not empty", bus->name);
	tree().remove(p->directory);
	bus->p = nullptr;
	delete p;
}

int bus_for_each_dev(struct bus_type *bus, struct device *start, void *data,
		     int (*fn)(struct device *dev, void *data))
{
	if (!bus || !bus->p)
		return -EINVAL;
	return forEach(bus->p, start, [&](device *dev) { return fn(dev, data); });
}

struct device *bus_find_device(struct bus_type *bus, struct device *start, const void *data,
			       int (*match)(struct device *dev, const void *data))
{
	if (!bus || !bus->p)
		return nullptr;
	return findIn(bus->p, start, [&](device *dev) { return match(dev, data); });
}

struct device *bus_find_device_by_name(struct bus_type *bus, struct device *start, const char *name)
{
	return bus_find_device(bus, start, name, device_match_name);
}

int bus_register_notifier(struct bus_type *bus, struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&bus->p->notifier, nb);
}

int bus_unregister_notifier(struct bus_type *bus, struct notifier_block *nb)
{
	return blocking_notifier_chain_unregister(&bus->p->notifier, nb);
}

int device_match_name(struct device *dev, const void *name)
{
	return !strcmp(dev_name(dev), static_cast<const char *>(name));
}

int device_match_devt(struct device *dev, const void *devt)
{
	return dev->devt == *static_cast<const dev_t *>(devt);
}

/* --- drivers --- */

int driver_register(struct device_driver *drv)
{
	if (!drv->bus || !drv->bus->p)
		return -EINVAL;
	if (driver_find(drv->name, drv->bus))
		return -EBUSY;
	auto *p = new driver_private{};
	p->driver = drv;
	kobject_init(&p->kobj, &driverType);
	int ret = kobject_set_name(&p->kobj, "%s", drv->name);
	if (!ret)
		ret = kobjectAddAt(&p->kobj, drv->bus->p->driverDirs);
	if (ret) {
		kobject_put(&p->kobj);
		return ret;
	}
	drv->p = p;
	if (!drv->suppress_bind_attrs) {
		(void)!driver_create_file(drv, &bindAttribute);
		(void)!driver_create_file(drv, &unbindAttribute);
	}
	ret = sysfs_create_groups(&p->kobj, drv->bus->drv_groups);
	if (!ret)
		ret = sysfs_create_groups(&p->kobj, drv->groups);
	if (ret) {
		drv->p = nullptr;
		kobject_put(&p->kobj);
		return ret;
	}
	mutex_lock(&drv->bus->p->mutex);
	drv->bus->p->drivers.push_back(drv);
	mutex_unlock(&drv->bus->p->mutex);
	return driver_attach(drv);
}

void driver_unregister(struct device_driver *drv)
{
	if (WARN_ON(!drv || !drv->p))
		return;
	mutex_lock(&drv->bus->p->mutex);
	drv->bus->p->drivers.remove(drv);
	mutex_unlock(&drv->bus->p->mutex);
	for (auto *dev : devicesOf(drv->bus->p)) {
		releaseFrom(dev, drv);
		put_device(dev);
	}
	kobject_put(&drv->p->kobj);
	drv->p = nullptr;
}

int driver_attach(struct device_driver *drv)
{
	return forEach(drv->bus->p, nullptr, [&](device *dev) {
		if (!matches(dev, drv))
			return 0;
		device_lock(dev);
		if (!dev->driver)
			probe(dev, drv);
		device_unlock(dev);
		return 0;
	});
}

struct device_driver *driver_find(const char *name, struct bus_type *bus)
{
	for (auto *drv : driversOf(bus->p))
		if (!strcmp(drv->name, name))
			return drv;
	return nullptr;
}

int driver_create_file(struct device_driver *drv, const struct driver_attribute *attr)
{
	return sysfs_create_file(&drv->p->kobj, &attr->attr);
}

/* --- binding --- */

int device_attach(struct device *dev)
{
	if (!dev->bus || !dev->p->registered)
		return -ENODEV;
	device_lock(dev);
	int ret = attach(dev);
	device_unlock(dev);
	return ret;
}

int device_driver_attach(struct device_driver *drv, struct device *dev)
{
	device_lock(dev);
	int ret = dev->driver ? -EBUSY : probe(dev, drv);
	device_unlock(dev);
	return ret == -EPROBE_DEFER ? -EAGAIN : ret;
}

void device_release_driver(struct device *dev)
{
	if (dev->bus)
		releaseFrom(dev, nullptr);
}

bool device_is_bound(struct device *dev)
{
	return READ_ONCE(dev->driver) != nullptr;
}
