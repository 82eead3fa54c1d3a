// SPDX-License-Identifier: GPL-2.0-only
/* Devices: names, lifetime, attributes, place in sysfs. bus.cpp has the binding to drivers. */
#include "device_model.h"
#include "power.h"

#include <atomic>
#include <cstring>
#include <mutex>

#include <hosted/test_hooks.h>
#include <linux/kdev_t.h>
#include <linux/slab.h>
#include <linux/string.h>

using namespace wd::hostkernel;

namespace wd::hostkernel
{
namespace
{

std::atomic<uint64_t> alive;
std::mutex childrenMutex;
SysfsNode *devices;

SysfsTree &tree()
{
	return SysfsTree::instance();
}

ssize_t showDevice(kobject *kobj, attribute *attr, char *buf)
{
	auto *dattr = container_of(attr, device_attribute, attr);
	return dattr->show ? dattr->show(kobj_to_dev(kobj), dattr, buf) : -EIO;
}

ssize_t storeDevice(kobject *kobj, attribute *attr, const char *buf, size_t count)
{
	auto *dattr = container_of(attr, device_attribute, attr);
	return dattr->store ? dattr->store(kobj_to_dev(kobj), dattr, buf, count) : -EIO;
}

void releaseDevice(kobject *kobj)
{
	device *dev = kobj_to_dev(kobj);
	device_private *priv = dev->p;
	const char *name = dev_name(dev);
	alive.fetch_sub(1, std::memory_order_relaxed);
	if (dev->release)
		dev->release(dev);
	else if (dev->type && dev->type->release)
		dev->type->release(dev);
	else if (dev->class_ && dev->class_->dev_release)
		dev->class_->dev_release(dev);
	else
		WARN(1, "device %s has no release function", name ? name : "(no name)");
	delete priv;
}

const sysfs_ops deviceOps = {showDevice, storeDevice};
const kobj_type deviceType = {releaseDevice, &deviceOps, nullptr};

ssize_t showDev(device *dev, device_attribute *, char *buf)
{
	return sysfs_emit(buf, "%u:%u\n", MAJOR(dev->devt), MINOR(dev->devt));
}

ssize_t showUevent(device *dev, device_attribute *, char *buf)
{
	int n = 0;
	if (MAJOR(dev->devt))
		n += sysfs_emit_at(buf, n, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n", MAJOR(dev->devt),
				   MINOR(dev->devt), deviceNodeName(dev).c_str());
	/* READ_ONCE(), since a probe may change it at the same time. */
	if (const device_driver *driver = READ_ONCE(dev->driver))
		n += sysfs_emit_at(buf, n, "DRIVER=%s\n", driver->name);
	return n;
}

device_attribute devAttribute = {{"dev", 0444}, showDev, nullptr};
device_attribute ueventAttribute = {{"uevent", 0444}, showUevent, nullptr};

/*
 * The directory in which the device's own goes. With a parent: the parent's directory, or a
 * directory of the class in it, unless the parent has the same class. Without a parent:
 * virtual/<class>, or without a class the kobject that the driver chose, or the top.
 */
SysfsNode *placeOf(device *dev)
{
	device *parent = dev->parent;
	auto *below = parent ? static_cast<SysfsNode *>(parent->kobj.sd) : devices;
	if (!dev->class_ && !parent && dev->kobj.parent)
		return static_cast<SysfsNode *>(dev->kobj.parent->sd);
	if (!dev->class_ || (parent && parent->class_ == dev->class_))
		return below;
	if (!parent)
		below = tree().ensureDirectory(devices, "virtual");
	else if (parent->class_)
		return below;
	dev->p->glue = tree().ensureDirectory(below, dev->class_->name);
	return dev->p->glue;
}

int addLinks(device *dev)
{
	auto *here = static_cast<SysfsNode *>(dev->kobj.sd);
	if (dev->class_) {
		subsys_private *cls = dev->class_->p;
		tree().addLink(here, "subsystem", cls->directory);
		if (dev->parent)
			tree().addLink(here, "device",
				       static_cast<SysfsNode *>(dev->parent->kobj.sd));
		if (!tree().addLink(cls->directory, dev_name(dev), here))
			return -EEXIST;
		mutex_lock(&cls->mutex);
		cls->devices.push_back(dev);
		mutex_unlock(&cls->mutex);
	}
	return 0;
}

void removeLinks(device *dev)
{
	if (!dev->class_)
		return;
	subsys_private *cls = dev->class_->p;
	tree().remove(cls->directory, dev_name(dev));
	mutex_lock(&cls->mutex);
	cls->devices.remove(dev);
	mutex_unlock(&cls->mutex);
}

int addAttributes(device *dev)
{
	int ret = device_create_file(dev, &ueventAttribute);
	if (!ret && MAJOR(dev->devt))
		ret = device_create_file(dev, &devAttribute);
	if (!ret && dev->class_)
		ret = device_add_groups(dev, dev->class_->dev_groups);
	if (!ret && dev->type)
		ret = device_add_groups(dev, dev->type->groups);
	if (!ret)
		ret = device_add_groups(dev, dev->groups);
	return ret;
}

void joinParent(device *dev)
{
	if (!dev->parent)
		return;
	std::lock_guard lock(childrenMutex);
	dev->parent->p->children.push_back(dev);
}

void leaveParent(device *dev)
{
	if (!dev->parent)
		return;
	std::lock_guard lock(childrenMutex);
	dev->parent->p->children.remove(dev);
}

void removeDirectory(device *dev)
{
	auto *here = static_cast<SysfsNode *>(dev->kobj.sd);
	tree().remove(here);
	dev->kobj.sd = nullptr;
	dev->kobj.state_in_sysfs = 0;
	if (dev->p->glue)
		tree().removeIfEmpty(dev->p->glue);
	dev->p->glue = nullptr;
	kobject *parent = dev->kobj.parent;
	dev->kobj.parent = nullptr;
	kobject_put(parent);
}

} // namespace

uint64_t deviceCount()
{
	return alive.load(std::memory_order_relaxed);
}

SysfsNode *devicesDirectory()
{
	return devices;
}

void devicesStart()
{
	devices = tree().addDirectory(tree().root(), "devices");
}

std::string deviceNodeName(device *dev)
{
	umode_t mode = 0;
	kuid_t uid{};
	kgid_t gid{};
	char *given = nullptr;
	if (dev->type && dev->type->devnode)
		given = dev->type->devnode(dev, &mode, &uid, &gid);
	else if (dev->class_ && dev->class_->devnode)
		given = dev->class_->devnode(dev, &mode);
	if (!given) {
		std::string name = dev_name(dev);
		for (auto &c : name)
			c = c == '!' ? '/' : c;
		return name;
	}
	std::string name = given;
	kfree(given);
	return name;
}

} // namespace wd::hostkernel

const char *dev_driver_string(const struct device *dev)
{
	device_driver *drv = READ_ONCE(dev->driver);
	if (drv)
		return drv->name;
	if (dev->bus)
		return dev->bus->name;
	return dev->class_ ? dev->class_->name : "";
}

int dev_set_name(struct device *dev, const char *name, ...)
{
	va_list args;
	va_start(args, name);
	int ret = kobjectSetName(&dev->kobj, name, args);
	va_end(args);
	return ret;
}

void device_initialize(struct device *dev)
{
	kobject_init(&dev->kobj, &deviceType);
	mutex_init(&dev->mutex);
	dev->p = new device_private;
	dev->numa_node = NUMA_NO_NODE;
	alive.fetch_add(1, std::memory_order_relaxed);
}

int device_add(struct device *dev)
{
	if (dev->init_name) {
		int ret = dev_set_name(dev, "%s", dev->init_name);
		if (ret)
			return ret;
		dev->init_name = nullptr;
	}
	if (!dev_name(dev))
		return -EINVAL;
	if (!dev->p || WARN_ON(dev->kobj.state_in_sysfs))
		return -EINVAL;
	get_device(dev);
	device *parent = get_device(dev->parent);
	if (parent && dev_to_node(dev) == NUMA_NO_NODE)
		set_dev_node(dev, dev_to_node(parent));
	int ret = kobjectAddAt(&dev->kobj, placeOf(dev));
	if (ret) {
		if (dev->p->glue)
			tree().removeIfEmpty(dev->p->glue);
		dev->p->glue = nullptr;
		put_device(parent);
		put_device(dev);
		return ret;
	}
	if (parent || dev->class_)
		dev->kobj.parent = parent ? &parent->kobj : nullptr;
	else
		kobject_get(dev->kobj.parent);
	ret = addAttributes(dev);
	if (!ret)
		ret = addLinks(dev);
	if (ret)
		goto remove;
	ret = busAddDevice(dev);
	if (ret) {
		removeLinks(dev);
		goto remove;
	}
	dev->p->registered = true;
	if (MAJOR(dev->devt))
		deviceNodeAdd(deviceNodeName(dev), dev->devt);
	joinParent(dev);
	powerAdd(dev);
	busNotify(dev, BUS_NOTIFY_ADD_DEVICE);
	busProbeDevice(dev);
	put_device(dev);
	return 0;

remove:
	removeDirectory(dev);
	put_device(dev);
	return ret;
}

void device_del(struct device *dev)
{
	if (WARN_ON(!dev->p->registered))
		return;
	device_lock(dev);
	dev->p->dead = true;
	device_unlock(dev);
	busNotify(dev, BUS_NOTIFY_DEL_DEVICE);
	leaveParent(dev);
	if (MAJOR(dev->devt))
		deviceNodeRemove(dev->devt);
	removeLinks(dev);
	busRemoveDevice(dev);
	dev->p->registered = false;
	powerRemove(dev);
	busNotify(dev, BUS_NOTIFY_REMOVED_DEVICE);
	removeDirectory(dev);
}

void device_unregister(struct device *dev)
{
	device_del(dev);
	put_device(dev);
}

int device_is_registered(struct device *dev)
{
	return dev->p->registered;
}

struct device *get_device(struct device *dev)
{
	return dev ? kobj_to_dev(kobject_get(&dev->kobj)) : nullptr;
}

void put_device(struct device *dev)
{
	if (dev)
		kobject_put(&dev->kobj);
}

/* --- attributes --- */

int device_create_file(struct device *dev, const struct device_attribute *attr)
{
	return sysfs_create_file(&dev->kobj, &attr->attr);
}

int device_add_groups(struct device *dev, const struct attribute_group **groups)
{
	return sysfs_create_groups(&dev->kobj, groups);
}

void device_remove_groups(struct device *dev, const struct attribute_group **groups)
{
	sysfs_remove_groups(&dev->kobj, groups);
}

/* --- devices made by the core --- */

static void freeDevice(struct device *dev)
{
	kfree(dev);
}

static struct device *createDevice(struct class_ *cls, struct device *parent, dev_t devt,
				   void *drvdata, const struct attribute_group **groups,
				   const char *fmt, va_list args)
{
	auto *dev = static_cast<device *>(kzalloc(sizeof(device), GFP_KERNEL));
	if (!dev)
		return static_cast<device *>(ERR_PTR(-ENOMEM));
	device_initialize(dev);
	dev->devt = devt;
	dev->class_ = cls;
	dev->parent = parent;
	dev->groups = groups;
	dev->release = freeDevice;
	dev_set_drvdata(dev, drvdata);
	int ret = kobjectSetName(&dev->kobj, fmt, args);
	if (!ret)
		ret = device_add(dev);
	if (ret) {
		put_device(dev);
		return static_cast<device *>(ERR_PTR(ret));
	}
	return dev;
}

struct device *device_create(struct class_ *cls, struct device *parent, dev_t devt, void *drvdata,
			     const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	device *dev = createDevice(cls, parent, devt, drvdata, nullptr, fmt, args);
	va_end(args);
	return dev;
}

struct device *device_create_with_groups(struct class_ *cls, struct device *parent, dev_t devt,
					 void *drvdata, const struct attribute_group **groups,
					 const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	device *dev = createDevice(cls, parent, devt, drvdata, groups, fmt, args);
	va_end(args);
	return dev;
}

void device_destroy(struct class_ *cls, dev_t devt)
{
	device *dev = class_find_device(cls, nullptr, &devt, device_match_devt);
	if (!dev)
		return;
	put_device(dev);
	device_unregister(dev);
}

struct device *wd_root_device_register(const char *name)
{
	auto *dev = static_cast<device *>(kzalloc(sizeof(device), GFP_KERNEL));
	if (!dev)
		return static_cast<device *>(ERR_PTR(-ENOMEM));
	device_initialize(dev);
	dev->release = freeDevice;
	int ret = dev_set_name(dev, "%s", name);
	if (!ret)
		ret = device_add(dev);
	if (ret) {
		put_device(dev);
		return static_cast<device *>(ERR_PTR(ret));
	}
	return dev;
}

void root_device_unregister(struct device *root)
{
	device_unregister(root);
}
