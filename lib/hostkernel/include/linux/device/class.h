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

/* `class` is a keyword of C++. C++ code calls the type, and the member of struct device, class_. */
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

WD_BEGIN_DECLS
int __must_check class_register(struct WD_CLASS *cls);
void class_unregister(struct WD_CLASS *cls);
struct device *class_find_device(struct WD_CLASS *cls, struct device *start, const void *data,
				 int (*match)(struct device *dev, const void *data));
WD_END_DECLS

#endif /* _DEVICE_CLASS_H_ */
