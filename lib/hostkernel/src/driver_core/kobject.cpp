// SPDX-License-Identifier: GPL-2.0-only
#include "device_model.h"

#include <cstdarg>
#include <cstring>

#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/string.h>

struct kobject *kernel_kobj;

namespace wd::hostkernel
{

int kobjectAddAt(kobject *kobj, SysfsNode *directory)
{
	SysfsTree &tree = SysfsTree::instance();
	if (WARN(!kobj->name || !kobj->name[0], "kobject without a name"))
		return -EINVAL;
	SysfsNode *node = tree.addDirectory(directory ? directory : tree.root(), kobj->name);
	if (!node)
		return -EEXIST;
	kobj->sd = node;
	if (kobj->ktype && kobj->ktype->default_groups) {
		int ret = sysfs_create_groups(kobj, kobj->ktype->default_groups);
		if (ret) {
			tree.remove(node);
			kobj->sd = nullptr;
			return ret;
		}
	}
	kobj->state_in_sysfs = 1;
	return 0;
}

int kobjectSetName(kobject *kobj, const char *fmt, va_list args)
{
	char *name = kvasprintf(GFP_KERNEL, fmt, args);
	if (!name)
		return -ENOMEM;
	/* As in Linux: with a slash the name would be a path. */
	strreplace(name, '/', '!');
	kfree(kobj->name);
	kobj->name = name;
	return 0;
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

namespace
{

void joinKset(kobject *kobj)
{
	if (!kobj->kset)
		return;
	kset *set = kobj->kset;
	kobject_get(&set->kobj);
	spin_lock(&set->list_lock);
	list_add_tail(&kobj->entry, &set->list);
	spin_unlock(&set->list_lock);
}

void leaveKset(kobject *kobj)
{
	if (!kobj->kset)
		return;
	kset *set = kobj->kset;
	spin_lock(&set->list_lock);
	list_del_init(&kobj->entry);
	spin_unlock(&set->list_lock);
	kobject_put(&set->kobj);
}

int addKobject(kobject *kobj)
{
	kobject *parent = kobject_get(kobj->parent);
	if (!parent && kobj->kset)
		parent = kobject_get(&kobj->kset->kobj);
	joinKset(kobj);
	kobj->parent = parent;
	int ret = kobjectAddAt(kobj, parent ? static_cast<SysfsNode *>(parent->sd) : nullptr);
	if (ret) {
		leaveKset(kobj);
		kobject_put(parent);
		kobj->parent = nullptr;
	}
	return ret;
}

void releaseKobject(kref *kref)
{
	kobject *kobj = container_of(kref, kobject, kref);
	const char *name = kobj->name;
	if (kobj->state_in_sysfs)
		kobject_del(kobj);
	if (kobj->ktype && kobj->ktype->release)
		kobj->ktype->release(kobj);
	else
		WARN(1, "kobject %s has no release function", name ? name : "(no name)");
	kfree(name);
}

ssize_t showAttribute(kobject *kobj, attribute *attr, char *buf)
{
	auto *kattr = container_of(attr, kobj_attribute, attr);
	return kattr->show ? kattr->show(kobj, kattr, buf) : -EIO;
}

ssize_t storeAttribute(kobject *kobj, attribute *attr, const char *buf, size_t count)
{
	auto *kattr = container_of(attr, kobj_attribute, attr);
	return kattr->store ? kattr->store(kobj, kattr, buf, count) : -EIO;
}

const kobj_type dynamicType = {[](kobject *kobj) { kfree(kobj); }, &kobj_sysfs_ops, nullptr};
const kobj_type ksetType = {[](kobject *kobj) { kfree(container_of(kobj, kset, kobj)); },
			    &kobj_sysfs_ops, nullptr};

} // namespace

const struct sysfs_ops kobj_sysfs_ops = {showAttribute, storeAttribute};

void kobject_init(struct kobject *kobj, const struct kobj_type *ktype)
{
	WARN(kobj->state_initialized, "kobject initialised twice");
	kref_init(&kobj->kref);
	INIT_LIST_HEAD(&kobj->entry);
	kobj->state_in_sysfs = 0;
	kobj->state_initialized = 1;
	kobj->sd = nullptr;
	kobj->ktype = ktype;
}

int kobject_set_name(struct kobject *kobj, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int ret = kobjectSetName(kobj, fmt, args);
	va_end(args);
	return ret;
}

int kobject_init_and_add(struct kobject *kobj, const struct kobj_type *ktype,
			 struct kobject *parent, const char *fmt, ...)
{
	kobject_init(kobj, ktype);
	va_list args;
	va_start(args, fmt);
	int ret = kobjectSetName(kobj, fmt, args);
	va_end(args);
	if (ret)
		return ret;
	kobj->parent = parent;
	return addKobject(kobj);
}

void kobject_del(struct kobject *kobj)
{
	if (!kobj || !kobj->state_in_sysfs)
		return;
	SysfsTree::instance().remove(static_cast<SysfsNode *>(kobj->sd));
	kobj->sd = nullptr;
	kobj->state_in_sysfs = 0;
	leaveKset(kobj);
	kobject *parent = kobj->parent;
	kobj->parent = nullptr;
	kobject_put(parent);
}

struct kobject *kobject_create_and_add(const char *name, struct kobject *parent)
{
	auto *kobj = static_cast<kobject *>(kzalloc(sizeof(kobject), GFP_KERNEL));
	if (!kobj)
		return nullptr;
	if (kobject_init_and_add(kobj, &dynamicType, parent, "%s", name)) {
		kobject_put(kobj);
		return nullptr;
	}
	return kobj;
}

struct kobject *kobject_get(struct kobject *kobj)
{
	if (kobj)
		kref_get(&kobj->kref);
	return kobj;
}

struct kobject *kobject_get_unless_zero(struct kobject *kobj)
{
	return kobj && kref_get_unless_zero(&kobj->kref) ? kobj : nullptr;
}

void kobject_put(struct kobject *kobj)
{
	if (kobj)
		kref_put(&kobj->kref, releaseKobject);
}

void kset_init(struct kset *kset)
{
	kobject_init(&kset->kobj, &ksetType);
	INIT_LIST_HEAD(&kset->list);
	spin_lock_init(&kset->list_lock);
}

int kset_register(struct kset *kset)
{
	const kobj_type *type = kset->kobj.ktype;
	kset_init(kset);
	if (type)
		kset->kobj.ktype = type;
	return addKobject(&kset->kobj);
}

void kset_unregister(struct kset *kset)
{
	if (!kset)
		return;
	kobject_del(&kset->kobj);
	kobject_put(&kset->kobj);
}

struct kset *kset_create_and_add(const char *name, const struct kset_uevent_ops *,
				 struct kobject *parent)
{
	auto *set = static_cast<struct kset *>(kzalloc(sizeof(struct kset), GFP_KERNEL));
	if (!set)
		return nullptr;
	set->kobj.parent = parent;
	if (kobject_set_name(&set->kobj, "%s", name)) {
		kfree(set);
		return nullptr;
	}
	if (kset_register(set)) {
		kobject_put(&set->kobj);
		return nullptr;
	}
	return set;
}
