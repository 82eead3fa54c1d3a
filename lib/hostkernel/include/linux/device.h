/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _DEVICE_H_
#define _DEVICE_H_

#include <linux/compiler.h>
#include <linux/dev_printk.h>
#include <linux/device/bus.h>
#include <linux/device/class.h>
#include <linux/device/driver.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/numa.h>
#include <linux/pm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>

struct dev_iommu;
struct device_private;
struct device_type;
struct dma_map_ops;
struct fwnode_handle;
struct iommu_group;

struct device_attribute {
	struct attribute attr;
	ssize_t (*show)(struct device *dev, struct device_attribute *attr, char *buf);
	ssize_t (*store)(struct device *dev, struct device_attribute *attr, const char *buf,
			 size_t count);
};

#define DEVICE_ATTR_RW(_name) struct device_attribute dev_attr_##_name = __ATTR_RW(_name)
#define DEVICE_ATTR_RO(_name) struct device_attribute dev_attr_##_name = __ATTR_RO(_name)
#define DEVICE_ATTR_ADMIN_RO(_name) \
	struct device_attribute dev_attr_##_name = __ATTR_RO_MODE(_name, 0400)

struct device_type {
	const char *name;
	const struct attribute_group **groups;
	int (*uevent)(struct device *dev, struct kobj_uevent_env *env);
	char *(*devnode)(struct device *dev, umode_t *mode, kuid_t *uid, kgid_t *gid);
	void (*release)(struct device *dev);
	const struct dev_pm_ops *pm;
};

struct device_dma_parameters {
	unsigned int max_segment_size;
	unsigned int min_align_mask;
	unsigned long segment_boundary_mask;
};

struct device {
	struct kobject kobj;
	struct device *parent;
	struct device_private *p;
	const char *init_name;
	const struct device_type *type;
	struct bus_type *bus;
	struct device_driver *driver;
	void *platform_data;
	void *driver_data;
	struct mutex mutex;
	const struct dma_map_ops *dma_ops;
	u64 *dma_mask;
	u64 coherent_dma_mask;
	u64 bus_dma_limit;
	struct device_dma_parameters *dma_parms;
	struct fwnode_handle *fwnode;
	int numa_node;
	dev_t devt;
	u32 id;
	struct WD_CLASS *WD_CLASS;
	const struct attribute_group **groups;
	void (*release)(struct device *dev);
	struct iommu_group *iommu_group;
	struct dev_iommu *iommu;
	struct dev_pm_info power;
	void *wd_bus_data; /* for the code of the bus */
	void *wd_dma_data; /* for the DMA API */
	bool wd_no_pm;	   /* sleep of the machine leaves the device out */
	bool dma_ops_bypass;
};

#define DL_FLAG_STATELESS (1U << 0)
#define DL_FLAG_AUTOREMOVE_CONSUMER (1U << 1)
#define DL_FLAG_PM_RUNTIME (1U << 2)
#define DL_FLAG_RPM_ACTIVE (1U << 3)
#define DL_FLAG_AUTOREMOVE_SUPPLIER (1U << 4)
#define DL_FLAG_AUTOPROBE_CONSUMER (1U << 5)
#define DL_FLAG_MANAGED (1U << 6)

/**
 * struct device_link - the consumer needs the supplier
 * @supplier: goes to sleep and is shut down after @consumer, and wakes up before it
 * @consumer: the device that needs @supplier
 * @flags: DL_FLAG_*; with a managed link the consumer has a driver only while the supplier has one
 */
struct device_link {
	struct device *supplier;
	struct device *consumer;
	u32 flags;
	unsigned int wd_references;
	bool wd_waiting; /* the consumer's probe waits for the supplier */
};

static inline struct device *kobj_to_dev(struct kobject *kobj)
{
	return container_of(kobj, struct device, kobj);
}

static inline const char *dev_name(const struct device *dev)
{
	return dev->init_name ? dev->init_name : kobject_name(&dev->kobj);
}

static inline int dev_to_node(struct device *dev)
{
	return dev->numa_node;
}

static inline void set_dev_node(struct device *dev, int node)
{
	dev->numa_node = node;
}

static inline void *dev_get_drvdata(const struct device *dev)
{
	return dev->driver_data;
}

static inline void dev_set_drvdata(struct device *dev, void *data)
{
	dev->driver_data = data;
}

static inline bool device_iommu_mapped(struct device *dev)
{
	return dev->iommu_group != NULL;
}

/* Before device_add(): user space is not told of the device. */
static inline void dev_set_uevent_suppress(struct device *dev, int val)
{
	dev->kobj.uevent_suppress = !!val;
}

/* Before device_add(): the device has no files for power, and no callback for sleep. */
static inline void device_set_pm_not_required(struct device *dev)
{
	dev->wd_no_pm = true;
}

static inline void dev_pm_set_driver_flags(struct device *dev, u32 flags)
{
	dev->power.driver_flags = flags;
}

static inline void device_lock(struct device *dev)
{
	mutex_lock(&dev->mutex);
}

static inline int device_trylock(struct device *dev)
{
	return mutex_trylock(&dev->mutex);
}

static inline void device_unlock(struct device *dev)
{
	mutex_unlock(&dev->mutex);
}

WD_BEGIN_DECLS
const char *dev_driver_string(const struct device *dev);
__printf(2, 3) int dev_set_name(struct device *dev, const char *name, ...);
void device_unregister(struct device *dev);
void device_initialize(struct device *dev);
int __must_check device_add(struct device *dev);
void device_del(struct device *dev);
int device_is_registered(struct device *dev);
struct device *get_device(struct device *dev);
void put_device(struct device *dev);

/*
 * @flags: DL_FLAG_STATELESS; or, for a managed link, 0 or DL_FLAG_AUTOPROBE_CONSUMER. Returns NULL
 * on failure: also if @supplier depends on @consumer or has left the bus. A link ends with either
 * device. Stateless links count references.
 */
struct device_link *device_link_add(struct device *consumer, struct device *supplier, u32 flags);
void device_link_remove(void *consumer, struct device *supplier);

int __must_check device_attach(struct device *dev);
int __must_check device_driver_attach(struct device_driver *drv, struct device *dev);
void device_release_driver(struct device *dev);

__printf(6, 7) struct device *device_create_with_groups(struct WD_CLASS *cls, struct device *parent,
							dev_t devt, void *drvdata,
							const struct attribute_group **groups,
							const char *fmt, ...);
void device_destroy(struct WD_CLASS *cls, dev_t devt);
struct device *wd_root_device_register(const char *name);
void root_device_unregister(struct device *root);

int device_create_file(struct device *dev, const struct device_attribute *attr);
int __must_check device_add_groups(struct device *dev, const struct attribute_group **groups);
void device_remove_groups(struct device *dev, const struct attribute_group **groups);

WD_END_DECLS

/* Code that uses this includes <linux/lockdep.h>. */
#define device_lock_assert(dev) lockdep_assert_held(&(dev)->mutex)
#define root_device_register(name) wd_root_device_register(name)

#endif /* _DEVICE_H_ */
