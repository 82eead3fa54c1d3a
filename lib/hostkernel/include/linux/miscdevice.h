/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_MISCDEVICE_H
#define _LINUX_MISCDEVICE_H

#include <linux/device.h>
#include <linux/list.h>
#include <linux/types.h>

#define MISC_MAJOR 10
#define MISC_DYNAMIC_MINOR 255
#define VFIO_MINOR 196

struct file_operations;

struct miscdevice {
	int minor;
	const char *name;
	const struct file_operations *fops;
	struct list_head list;
	struct device *parent;
	struct device *this_device;
	const struct attribute_group **groups;
	const char *nodename;
	umode_t mode;
};

WD_BEGIN_DECLS
int misc_register(struct miscdevice *misc);
void misc_deregister(struct miscdevice *misc);
WD_END_DECLS

#define module_misc_device(misc) module_driver(misc, misc_register, misc_deregister)

#endif /* _LINUX_MISCDEVICE_H */
