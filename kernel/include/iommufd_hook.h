/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module of tests (kernel/selftest) needs of /dev/iommu: a place for its command, objects
 * of its own, and the objects behind ids. Nothing else may use it.
 */
#ifndef _WD_IOMMUFD_HOOK_H
#define _WD_IOMMUFD_HOOK_H

#include <linux/types.h>

struct device;
struct iommu_domain;
struct iommufd_ctx;
struct iommufd_device;
struct iommufd_object;
struct module;
struct wd_pgtable;

/**
 * struct iommufd_hook - a module of tests
 * @owner: the module; held while a command runs, and by each of its objects
 * @command: IOMMU_TEST_CMD with the caller's structure. The first argument is held by the caller
 */
struct iommufd_hook {
	struct module *owner;
	long (*command)(struct iommufd_ctx *ictx, void __user *arg);
};

int iommufd_hook_register(const struct iommufd_hook *hook);
void iommufd_hook_unregister(const struct iommufd_hook *hook);

int iommufd_hook_create(struct iommufd_ctx *ictx, void (*destroy)(void *data), void *data, u32 *id);
struct iommufd_object *iommufd_hook_get(struct iommufd_ctx *ictx, u32 id, void **data);
void iommufd_hook_put(struct iommufd_ctx *ictx, struct iommufd_object *obj);

struct iommufd_device *iommufd_hook_bind(struct iommufd_ctx *ictx, struct device *dev, u32 *id);
int iommufd_hook_reserve(struct iommufd_ctx *ictx, u32 ioas_id, unsigned long start,
			 unsigned long length);
struct iommufd_object *iommufd_hook_get_domain(struct iommufd_ctx *ictx, u32 hwpt_id,
					       struct iommu_domain **domain);
struct iommufd_object *iommufd_hook_get_table(struct iommufd_ctx *ictx, u32 hwpt_id,
					      struct wd_pgtable **table);
struct iommufd_object *iommufd_hook_get_device(struct iommufd_ctx *ictx, u32 dev_id,
					       struct device **dev);

#endif /* _WD_IOMMUFD_HOOK_H */
