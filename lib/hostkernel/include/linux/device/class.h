/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _DEVICE_CLASS_H_
#define _DEVICE_CLASS_H_

#include <linux/compiler.h>
#include <linux/sysfs.h>
#include <linux/types.h>

struct device;
struct kobj_uevent_env;
struct module;
struct subsys_private;

/* `class` is a keyword of C++: there the type, and struct device's member, are called class_. */
#ifdef __cplusplus
#define WD_CLASS class_
#else
#define WD_CLASS class
#endif

struct WD_CLASS {
	const char *name;
	struct module *owner;
	const struct attribute_group **class_groups;
	const struct attribute_group **dev_groups;
	int (*dev_uevent)(struct device *dev, struct kobj_uevent_env *env);
	char *(*devnode)(struct device *dev, umode_t *mode);
	void (*class_release)(struct WD_CLASS *cls);
	void (*dev_release)(struct device *dev);
	struct subsys_private *p;
};

struct class_attribute {
	struct attribute attr;
	ssize_t (*show)(struct WD_CLASS *cls, struct class_attribute *attr, char *buf);
	ssize_t (*store)(struct WD_CLASS *cls, struct class_attribute *attr, const char *buf,
			 size_t count);
};
#define CLASS_ATTR_RW(_name) struct class_attribute class_attr_##_name = __ATTR_RW(_name)
#define CLASS_ATTR_RO(_name) struct class_attribute class_attr_##_name = __ATTR_RO(_name)
#define CLASS_ATTR_WO(_name) struct class_attribute class_attr_##_name = __ATTR_WO(_name)

WD_BEGIN_DECLS
int __must_check class_register(struct WD_CLASS *cls);
void class_unregister(struct WD_CLASS *cls);
struct WD_CLASS *__must_check wd_class_create(struct module *owner, const char *name);
void class_destroy(struct WD_CLASS *cls);
struct device *class_find_device(struct WD_CLASS *cls, struct device *start, const void *data,
				 int (*match)(struct device *dev, const void *data));
int class_for_each_device(struct WD_CLASS *cls, struct device *start, void *data,
			  int (*fn)(struct device *dev, void *data));
WD_END_DECLS

#define class_create(owner, name) wd_class_create(owner, name)

#endif /* _DEVICE_CLASS_H_ */
