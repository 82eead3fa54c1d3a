// SPDX-License-Identifier: GPL-2.0-only
/* The sysfs functions of the kernel, on top of SysfsTree. */
#include "sysfs_tree.h"

#include <cstdarg>

#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/sysfs.h>

using namespace wd::hostkernel;

namespace
{

SysfsTree &tree()
{
	return SysfsTree::instance();
}

SysfsNode *directoryOf(const kobject *kobj)
{
	return kobj ? static_cast<SysfsNode *>(kobj->sd) : tree().root();
}

int addAttribute(SysfsNode *directory, kobject *kobj, const attribute *attr, umode_t mode)
{
	const sysfs_ops *ops = kobj->ktype ? kobj->ktype->sysfs_ops : nullptr;
	SysfsNode::Show show;
	SysfsNode::Store store;
	if (WARN_ON(!ops))
		return -EINVAL;
	auto *writable = const_cast<attribute *>(attr);
	if ((mode & S_IRUGO) && ops->show)
		show = [=](char *page) { return ops->show(kobj, writable, page); };
	if ((mode & S_IWUGO) && ops->store)
		store = [=](const char *text, size_t length) {
			return ops->store(kobj, writable, text, length);
		};
	return tree().addFile(directory, attr->name, show, store) ? 0 : -EEXIST;
}

int addGroupFiles(SysfsNode *directory, kobject *kobj, const attribute_group *grp, bool update)
{
	for (int i = 0; grp->attrs && grp->attrs[i]; i++) {
		attribute *attr = grp->attrs[i];
		umode_t mode = grp->is_visible ? grp->is_visible(kobj, attr, i) : attr->mode;
		if (update)
			tree().remove(directory, attr->name);
		int ret = mode ? addAttribute(directory, kobj, attr, mode) : 0;
		if (ret) {
			while (i--)
				tree().remove(directory, grp->attrs[i]->name);
			return ret;
		}
	}
	return 0;
}

SysfsNode *groupDirectory(kobject *kobj, const char *name)
{
	SysfsNode *directory = directoryOf(kobj);
	return name ? tree().find(directory, name) : directory;
}

} // namespace

int sysfs_create_file(struct kobject *kobj, const struct attribute *attr)
{
	return addAttribute(directoryOf(kobj), kobj, attr, attr->mode);
}

void sysfs_remove_file(struct kobject *kobj, const struct attribute *attr)
{
	tree().remove(directoryOf(kobj), attr->name);
}

int sysfs_create_group(struct kobject *kobj, const struct attribute_group *grp)
{
	SysfsNode *directory = directoryOf(kobj);
	if (grp->name) {
		directory = tree().addDirectory(directory, grp->name);
		if (!directory)
			return -EEXIST;
	}
	int ret = addGroupFiles(directory, kobj, grp, false);
	if (ret && grp->name)
		tree().remove(directory);
	return ret;
}

void sysfs_remove_group(struct kobject *kobj, const struct attribute_group *grp)
{
	SysfsNode *directory = directoryOf(kobj);
	if (grp->name) {
		tree().remove(directory, grp->name);
		return;
	}
	for (int i = 0; grp->attrs && grp->attrs[i]; i++)
		tree().remove(directory, grp->attrs[i]->name);
}

int sysfs_create_groups(struct kobject *kobj, const struct attribute_group **groups)
{
	for (int i = 0; groups && groups[i]; i++) {
		int ret = sysfs_create_group(kobj, groups[i]);
		if (ret) {
			while (i--)
				sysfs_remove_group(kobj, groups[i]);
			return ret;
		}
	}
	return 0;
}

void sysfs_remove_groups(struct kobject *kobj, const struct attribute_group **groups)
{
	for (; groups && *groups; groups++)
		sysfs_remove_group(kobj, *groups);
}

int sysfs_create_link(struct kobject *kobj, struct kobject *target, const char *name)
{
	if (!target || !target->sd)
		return -ENOENT;
	return tree().addLink(directoryOf(kobj), name, directoryOf(target)) ? 0 : -EEXIST;
}

int sysfs_create_link_nowarn(struct kobject *kobj, struct kobject *target, const char *name)
{
	return sysfs_create_link(kobj, target, name);
}

void sysfs_remove_link(struct kobject *kobj, const char *name)
{
	tree().remove(directoryOf(kobj), name);
}

int sysfs_add_link_to_group(struct kobject *kobj, const char *group_name, struct kobject *target,
			    const char *link_name)
{
	SysfsNode *directory = groupDirectory(kobj, group_name);
	if (!directory || !target->sd)
		return -ENOENT;
	return tree().addLink(directory, link_name, directoryOf(target)) ? 0 : -EEXIST;
}

void sysfs_remove_link_from_group(struct kobject *kobj, const char *group_name,
				  const char *link_name)
{
	tree().remove(groupDirectory(kobj, group_name), link_name);
}

int sysfs_emit_at(char *buf, int at, const char *fmt, ...)
{
	if (WARN(!PAGE_ALIGNED(buf) || at < 0 || at >= static_cast<int>(PAGE_SIZE),
		 "invalid sysfs_emit: buf %p at %d", buf, at))
		return 0;
	va_list args;
	va_start(args, fmt);
	int n = vscnprintf(buf + at, PAGE_SIZE - static_cast<size_t>(at), fmt, args);
	va_end(args);
	return n;
}

int sysfs_emit(char *buf, const char *fmt, ...)
{
	if (WARN(!PAGE_ALIGNED(buf), "invalid sysfs_emit: buf %p", buf))
		return 0;
	va_list args;
	va_start(args, fmt);
	int n = vscnprintf(buf, PAGE_SIZE, fmt, args);
	va_end(args);
	return n;
}
