// SPDX-License-Identifier: GPL-2.0-only
#include "device_model.h"

#include <hosted/test_hooks.h>
#include <linux/slab.h>

using namespace wd::hostkernel;

namespace
{

SysfsNode *classRoot;

SysfsTree &tree()
{
	return SysfsTree::instance();
}

} // namespace

namespace wd::hostkernel
{

void classesStart()
{
	classRoot = tree().addDirectory(tree().root(), "class");
}

} // namespace wd::hostkernel

int class_register(struct class_ *cls)
{
	SysfsNode *directory = tree().addDirectory(classRoot, cls->name);
	if (!directory)
		return -EEXIST;
	auto *p = new subsys_private;
	mutex_init(&p->mutex);
	BLOCKING_INIT_NOTIFIER_HEAD(&p->notifier);
	p->directory = directory;
	cls->p = p;
	return 0;
}

void class_unregister(struct class_ *cls)
{
	subsys_private *p = cls->p;
	WARN(!p->devices.empty(), "class %s has devices", cls->name);
	tree().remove(p->directory);
	cls->p = nullptr;
	delete p;
	if (cls->class_release)
		cls->class_release(cls);
}

struct class_ *wd_class_create(struct module *owner, const char *name)
{
	auto *cls = static_cast<struct class_ *>(kzalloc(sizeof(struct class_), GFP_KERNEL));
	if (!cls)
		return static_cast<struct class_ *>(ERR_PTR(-ENOMEM));
	cls->name = name;
	cls->owner = owner;
	cls->class_release = [](struct class_ *c) { kfree(c); };
	int ret = class_register(cls);
	if (ret) {
		kfree(cls);
		return static_cast<struct class_ *>(ERR_PTR(ret));
	}
	return cls;
}

void class_destroy(struct class_ *cls)
{
	if (!IS_ERR_OR_NULL(cls))
		class_unregister(cls);
}

static std::vector<device *> devicesOf(struct class_ *cls)
{
	std::vector<device *> all;
	mutex_lock(&cls->p->mutex);
	for (auto *dev : cls->p->devices)
		all.push_back(get_device(dev));
	mutex_unlock(&cls->p->mutex);
	return all;
}

struct device *class_find_device(struct class_ *cls, struct device *start, const void *data,
				 int (*match)(struct device *dev, const void *data))
{
	device *found = nullptr;
	bool started = !start;
	for (auto *dev : devicesOf(cls)) {
		if (!found && started && match(dev, data))
			found = get_device(dev);
		started |= dev == start;
		put_device(dev);
	}
	return found;
}
