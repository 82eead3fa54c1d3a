/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_CDEV_H
#define _LINUX_CDEV_H

#include <linux/device.h>
#include <linux/fs.h>
#include <linux/kobject.h>

struct cdev {
	struct kobject kobj;
	struct module *owner;
	const struct file_operations *ops;
	struct list_head list;
	dev_t dev;
	unsigned int count;
};

WD_BEGIN_DECLS
void cdev_init(struct cdev *cdev, const struct file_operations *fops);
void cdev_put(struct cdev *cdev);
int cdev_add(struct cdev *cdev, dev_t dev, unsigned int count);
void cdev_set_parent(struct cdev *cdev, struct kobject *kobj);
int cdev_device_add(struct cdev *cdev, struct device *dev);
void cdev_device_del(struct cdev *cdev, struct device *dev);
void cdev_del(struct cdev *cdev);
WD_END_DECLS

#endif /* _LINUX_CDEV_H */
