/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * IOMMU core (names, callbacks, order of calls and errors of Linux 6.1;
 * Documentation/spec/linux-iommu.rst): operations of an IOMMU driver, and functions for users of
 * domains and groups.
 */
#ifndef _LINUX_IOMMU_H
#define _LINUX_IOMMU_H

#include <linux/device.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/ioasid.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/types.h>

#define IOMMU_READ (1 << 0)
#define IOMMU_WRITE (1 << 1)
#define IOMMU_CACHE (1 << 2)
#define IOMMU_NOEXEC (1 << 3)
#define IOMMU_MMIO (1 << 4)
#define IOMMU_PRIV (1 << 5)

/* Flags of report_iommu_fault(). */
#define IOMMU_FAULT_READ 0x0
#define IOMMU_FAULT_WRITE 0x1

#define __IOMMU_DOMAIN_PAGING (1U << 0)
#define __IOMMU_DOMAIN_DMA_API (1U << 1)
#define __IOMMU_DOMAIN_PT (1U << 2)
#define __IOMMU_DOMAIN_DMA_FQ (1U << 3)

/* Types of domains: 0 blocked, 1 unmanaged, 3 DMA API, 4 identity, 11 DMA API with flush queue. */
#define IOMMU_DOMAIN_BLOCKED (0U)
#define IOMMU_DOMAIN_IDENTITY (__IOMMU_DOMAIN_PT)
#define IOMMU_DOMAIN_UNMANAGED (__IOMMU_DOMAIN_PAGING)
#define IOMMU_DOMAIN_DMA (__IOMMU_DOMAIN_PAGING | __IOMMU_DOMAIN_DMA_API)
#define IOMMU_DOMAIN_DMA_FQ (IOMMU_DOMAIN_DMA | __IOMMU_DOMAIN_DMA_FQ)

struct bus_type;
struct fwnode_handle;
struct iommu_dma_cookie;
struct iommu_domain;
struct iommu_domain_ops;
struct iommu_fwspec;
struct iommu_group;
struct iommu_ops;
struct mm_struct;

typedef int (*iommu_fault_handler_t)(struct iommu_domain *, struct device *, unsigned long, int,
				     void *);

/* --- objects --- */

struct iommu_domain_geometry {
	dma_addr_t aperture_start;
	dma_addr_t aperture_end; /* inclusive */
	bool force_aperture;
};

struct iommu_domain {
	unsigned type;
	const struct iommu_domain_ops *ops;
	unsigned long pgsize_bitmap;
	iommu_fault_handler_t handler;
	void *handler_token;
	struct iommu_domain_geometry geometry;
	struct iommu_dma_cookie *iova_cookie;
};

static inline bool iommu_is_dma_domain(struct iommu_domain *domain)
{
	return domain->type & __IOMMU_DOMAIN_DMA_API;
}

enum iommu_cap {
	IOMMU_CAP_CACHE_COHERENCY,
	IOMMU_CAP_INTR_REMAP,
	IOMMU_CAP_NOEXEC,
	IOMMU_CAP_PRE_BOOT_PROTECTION,
};

enum iommu_resv_type {
	IOMMU_RESV_DIRECT,
	IOMMU_RESV_DIRECT_RELAXABLE,
	IOMMU_RESV_RESERVED,
	IOMMU_RESV_MSI,
	IOMMU_RESV_SW_MSI,
};

/**
 * struct iommu_resv_region - addresses with a special meaning for a device
 * @free: function that frees it; NULL: kfree()
 */
struct iommu_resv_region {
	struct list_head list;
	phys_addr_t start;
	size_t length;
	int prot;
	enum iommu_resv_type type;
	void (*free)(struct device *dev, struct iommu_resv_region *region);
};

/**
 * struct iommu_iotlb_gather - the range that an unmap still has to invalidate
 * @start, @end: first and last address; empty if @end is 0
 * @pgsize: page size of the range in bytes
 * @freelist: pages to free after the invalidation
 * @queued: a later flush_iotlb_all() replaces iotlb_sync()
 */
struct iommu_iotlb_gather {
	unsigned long start;
	unsigned long end;
	size_t pgsize;
	struct list_head freelist;
	bool queued;
};

/**
 * struct iommu_ops - operations of an IOMMU driver (LINUX-REG-1 has the order of calls)
 * @domain_alloc: returns NULL on failure, or for a type that the driver does not have
 * @probe_device: never returns NULL; ERR_PTR(-ENODEV) if the device is not this driver's
 * @device_group: returns a group with a reference, or an ERR_PTR
 * @def_domain_type: returns 0 if the driver has no preference
 */
struct iommu_ops {
	bool (*capable)(struct device *dev, enum iommu_cap);
	struct iommu_domain *(*domain_alloc)(unsigned iommu_domain_type);
	struct iommu_device *(*probe_device)(struct device *dev);
	void (*release_device)(struct device *dev);
	void (*probe_finalize)(struct device *dev);
	struct iommu_group *(*device_group)(struct device *dev);
	void (*get_resv_regions)(struct device *dev, struct list_head *list);
	bool (*is_attach_deferred)(struct device *dev);
	int (*def_domain_type)(struct device *dev);
	const struct iommu_domain_ops *default_domain_ops;
	unsigned long pgsize_bitmap;
	struct module *owner;
};

/**
 * struct iommu_domain_ops - operations on a domain
 * @map_pages: adds the number of bytes that it mapped to @mapped, on error too
 * @unmap_pages: returns the number of bytes that it removed; must not fail
 */
struct iommu_domain_ops {
	int (*attach_dev)(struct iommu_domain *domain, struct device *dev);
	void (*detach_dev)(struct iommu_domain *domain, struct device *dev);
	int (*map)(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr, size_t size,
		   int prot, gfp_t gfp);
	int (*map_pages)(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr,
			 size_t pgsize, size_t pgcount, int prot, gfp_t gfp, size_t *mapped);
	size_t (*unmap)(struct iommu_domain *domain, unsigned long iova, size_t size,
			struct iommu_iotlb_gather *iotlb_gather);
	size_t (*unmap_pages)(struct iommu_domain *domain, unsigned long iova, size_t pgsize,
			      size_t pgcount, struct iommu_iotlb_gather *iotlb_gather);
	void (*flush_iotlb_all)(struct iommu_domain *domain);
	void (*iotlb_sync_map)(struct iommu_domain *domain, unsigned long iova, size_t size);
	void (*iotlb_sync)(struct iommu_domain *domain, struct iommu_iotlb_gather *iotlb_gather);
	phys_addr_t (*iova_to_phys)(struct iommu_domain *domain, dma_addr_t iova);
	bool (*enforce_cache_coherency)(struct iommu_domain *domain);
	int (*enable_nesting)(struct iommu_domain *domain);
	int (*set_pgtable_quirks)(struct iommu_domain *domain, unsigned long quirks);
	void (*free)(struct iommu_domain *domain);
};

/**
 * struct iommu_device - one IOMMU instance
 * @dev: the device that iommu_device_sysfs_add() makes
 */
struct iommu_device {
	struct list_head list;
	const struct iommu_ops *ops;
	struct fwnode_handle *fwnode;
	struct device *dev;
};

/**
 * struct dev_iommu - data of the core for a device that a driver has claimed
 * @iommu_dev: the instance whose driver claimed the device
 * @priv: for the driver
 */
struct dev_iommu {
	struct mutex lock;
	struct iommu_fwspec *fwspec;
	struct iommu_device *iommu_dev;
	void *priv;
};

#ifdef __cplusplus
extern "C" {
#endif

/* --- instances --- */

/*
 * -EBUSY if another driver's ops are installed; -EINVAL if @ops has no owner or @iommu no sysfs
 * device.
 */
int iommu_device_register(struct iommu_device *iommu, const struct iommu_ops *ops,
			  struct device *hwdev);
void iommu_device_unregister(struct iommu_device *iommu);
int iommu_device_sysfs_add(struct iommu_device *iommu, struct device *parent,
			   const struct attribute_group **groups, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void iommu_device_sysfs_remove(struct iommu_device *iommu);
int iommu_device_link(struct iommu_device *iommu, struct device *link);
void iommu_device_unlink(struct iommu_device *iommu, struct device *link);

static inline const struct iommu_ops *dev_iommu_ops(struct device *dev)
{
	return dev->iommu->iommu_dev->ops;
}

static inline struct iommu_device *dev_to_iommu_device(struct device *dev)
{
	return (struct iommu_device *)dev_get_drvdata(dev);
}

static inline void *dev_iommu_priv_get(struct device *dev)
{
	return dev->iommu ? dev->iommu->priv : NULL;
}

static inline void dev_iommu_priv_set(struct device *dev, void *priv)
{
	dev->iommu->priv = priv;
}

bool device_iommu_capable(struct device *dev, enum iommu_cap cap);

/* --- domains --- */

void iommu_domain_free(struct iommu_domain *domain);
struct iommu_domain *iommu_get_domain_for_dev(struct device *dev);
bool iommu_default_passthrough(void);
struct iommu_domain *iommu_get_dma_domain(struct device *dev);

/**
 * iommu_map() - map a range; may sleep
 *
 * Splits the range by the domain's page sizes. On an error nothing of the range stays mapped.
 *
 * Return: 0; -EINVAL for a domain without page tables or for addresses or a size that are not
 * multiples of the smallest page size; or the driver's error.
 */
int iommu_map(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr, size_t size,
	      int prot);
int iommu_map_atomic(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr,
		     size_t size, int prot);
/* Returns the number of bytes unmapped; stops at the first hole. The IOTLB is flushed on return. */
size_t iommu_unmap(struct iommu_domain *domain, unsigned long iova, size_t size);
/* The caller must call iommu_iotlb_sync() before anybody uses the memory for something else. */
size_t iommu_unmap_fast(struct iommu_domain *domain, unsigned long iova, size_t size,
			struct iommu_iotlb_gather *iotlb_gather);
phys_addr_t iommu_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova);

static inline void iommu_iotlb_gather_init(struct iommu_iotlb_gather *gather)
{
	gather->start = ~0UL;
	gather->end = 0;
	gather->pgsize = 0;
	INIT_LIST_HEAD(&gather->freelist);
	gather->queued = false;
}

static inline void iommu_flush_iotlb_all(struct iommu_domain *domain)
{
	if (domain->ops->flush_iotlb_all)
		domain->ops->flush_iotlb_all(domain);
}

static inline void iommu_iotlb_sync(struct iommu_domain *domain,
				    struct iommu_iotlb_gather *iotlb_gather)
{
	if (domain->ops->iotlb_sync)
		domain->ops->iotlb_sync(domain, iotlb_gather);
	iommu_iotlb_gather_init(iotlb_gather);
}

static inline void iommu_iotlb_gather_add_range(struct iommu_iotlb_gather *gather,
						unsigned long iova, size_t size)
{
	unsigned long last = iova + size - 1;

	if (iova < gather->start)
		gather->start = iova;
	if (last > gather->end)
		gather->end = last;
}

/* --- faults --- */

/* Returns the handler's result, or -ENOSYS without a handler. Any context. */
int report_iommu_fault(struct iommu_domain *domain, struct device *dev, unsigned long iova,
		       int flags);

/* --- reserved regions --- */

struct iommu_resv_region *iommu_alloc_resv_region(phys_addr_t start, size_t length, int prot,
						  enum iommu_resv_type type, gfp_t gfp);
void iommu_get_resv_regions(struct device *dev, struct list_head *list);
void iommu_put_resv_regions(struct device *dev, struct list_head *list);
int iommu_get_group_resv_regions(struct iommu_group *group, struct list_head *head);

/* --- groups --- */

struct iommu_group *iommu_group_alloc(void);
struct iommu_group *iommu_group_get(struct device *dev);
struct iommu_group *iommu_group_ref_get(struct iommu_group *group);
void iommu_group_put(struct iommu_group *group);
int iommu_group_id(struct iommu_group *group);
int iommu_group_add_device(struct iommu_group *group, struct device *dev);
void iommu_group_remove_device(struct device *dev);
/* Calls @fn with the group mutex held, up to the first result that is not 0. */
int iommu_group_for_each_dev(struct iommu_group *group, void *data,
			     int (*fn)(struct device *, void *));

struct iommu_group *pci_device_group(struct device *dev);
struct iommu_group *generic_device_group(struct device *dev);

/*
 * -EPERM if the group is in use or has an owner, -EBUSY if a domain other than the default is
 * attached.
 */
/* Has the group an owner, or drivers that use the default domain? */
bool iommu_group_dma_owner_claimed(struct iommu_group *group);
int iommu_group_claim_dma_owner(struct iommu_group *group, void *owner);
void iommu_group_release_dma_owner(struct iommu_group *group);

int iommu_device_use_default_domain(struct device *dev);
void iommu_device_unuse_default_domain(struct device *dev);

/* --- features and defaults --- */

/* For probe_finalize(): make the DMA API of the device use its default domain. */
void iommu_setup_dma_ops(struct device *dev, u64 dma_base, u64 dma_limit);

#ifdef __cplusplus
}
#endif

#endif /* _LINUX_IOMMU_H */
