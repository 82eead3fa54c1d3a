// SPDX-License-Identifier: GPL-2.0-only
/* Resources that go with the driver's hold on a device. */
#include "device_model.h"

#include <linux/slab.h>
#include <linux/string.h>

namespace
{

struct Resource {
	list_head entry;
	void (*action)(void *);
	void *data;
	alignas(ARCH_KMALLOC_MINALIGN) char memory[];
};

void add(device *dev, Resource *resource)
{
	spin_lock(&dev->devres_lock);
	list_add_tail(&resource->entry, &dev->devres_head);
	spin_unlock(&dev->devres_lock);
}

/* Take the newest resource with that action and data out of the list. */
Resource *take(device *dev, void (*action)(void *), const void *data)
{
	Resource *resource, *found = nullptr;
	spin_lock(&dev->devres_lock);
	list_for_each_entry_reverse (resource, &dev->devres_head, entry) {
		if (resource->action == action && resource->data == data) {
			found = resource;
			list_del(&found->entry);
			break;
		}
	}
	spin_unlock(&dev->devres_lock);
	return found;
}

} // namespace

namespace wd::hostkernel
{

void devresReleaseAll(device *dev)
{
	for (;;) {
		spin_lock(&dev->devres_lock);
		Resource *last = nullptr;
		if (!list_empty(&dev->devres_head)) {
			last = list_last_entry(&dev->devres_head, Resource, entry);
			list_del(&last->entry);
		}
		spin_unlock(&dev->devres_lock);
		if (!last)
			return;
		if (last->action)
			last->action(last->data);
		kfree(last);
	}
}

} // namespace wd::hostkernel

void *devm_kmalloc(struct device *dev, size_t size, gfp_t gfp)
{
	if (!size)
		return ZERO_SIZE_PTR;
	auto *resource = static_cast<Resource *>(kmalloc(size_add(sizeof(Resource), size), gfp));
	if (!resource)
		return nullptr;
	resource->action = nullptr;
	resource->data = resource->memory;
	add(dev, resource);
	return resource->memory;
}

void devm_kfree(struct device *dev, const void *p)
{
	if (ZERO_OR_NULL_PTR(p))
		return;
	Resource *resource = take(dev, nullptr, p);
	WARN(!resource, "devm_kfree of foreign memory");
	kfree(resource);
}

char *devm_kstrdup(struct device *dev, const char *s, gfp_t gfp)
{
	if (!s)
		return nullptr;
	size_t size = strlen(s) + 1;
	void *p = devm_kmalloc(dev, size, gfp);
	return static_cast<char *>(p ? memcpy(p, s, size) : nullptr);
}

char *devm_kasprintf(struct device *dev, gfp_t gfp, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *text = kvasprintf(gfp, fmt, args);
	va_end(args);
	char *copy = text ? devm_kstrdup(dev, text, gfp) : nullptr;
	kfree(text);
	return copy;
}

int devm_add_action(struct device *dev, void (*action)(void *data), void *data)
{
	auto *resource = static_cast<Resource *>(kmalloc(sizeof(Resource), GFP_KERNEL));
	if (!resource)
		return -ENOMEM;
	resource->action = action;
	resource->data = data;
	add(dev, resource);
	return 0;
}

void devm_remove_action(struct device *dev, void (*action)(void *data), void *data)
{
	Resource *resource = take(dev, action, data);
	WARN(!resource, "devm_remove_action of an unknown action");
	kfree(resource);
}

void devm_release_action(struct device *dev, void (*action)(void *data), void *data)
{
	devm_remove_action(dev, action, data);
	action(data);
}
