/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Virtual IOMMUs: the part of a physical IOMMU that a virtual machine has for itself. Its user knows
 * devices by ids of the virtual machine (virtual devices), and may get nested tables, events and
 * queues of the hardware. iommufd/viommu.c offers them to user space; a driver whose IOMMU has
 * something to give implements the operations viommu_ of struct wd_iommu_ops.
 */
#ifndef _WD_IOMMU_VIOMMU_H
#define _WD_IOMMU_VIOMMU_H

#include <linux/rwsem.h>
#include <linux/types.h>
#include <linux/xarray.h>

struct device;
struct iommu_domain;
struct wd_iommu;
struct wd_iommu_ops;
struct wd_pgtable;
struct wd_user_data;

/**
 * typedef wd_viommu_report_t - take an event
 * @data: as given to wd_viommu_alloc()
 * @type: enum iommu_veventq_type
 * @event: what follows the header of the event
 * @length: its bytes
 *
 * In any context. Return: 0; -EOPNOTSUPP nobody wants events of @type; -ENOMEM the event is lost.
 */
typedef int (*wd_viommu_report_t)(void *data, u32 type, const void *event, size_t length);

/**
 * struct wd_viommu - a virtual IOMMU; embedded in the driver's own structure
 * @parent: nesting parent, kept by the code that allocated the virtual IOMMU
 * @ops: operations of its driver, whose module is held
 * @iommu: the physical IOMMU, to compare with. It may be gone
 * @lock: for @devices; readers use one of them
 * @devices: struct device by virtual id
 * @report: takes its events
 * @data: for @report
 * @region_pfn: first page of memory that the user may map, set by the driver
 * @region_length: its bytes, 0: none
 */
struct wd_viommu {
	struct iommu_domain *parent;
	const struct wd_iommu_ops *ops;
	const struct wd_iommu *iommu;
	struct rw_semaphore lock;
	struct xarray devices;
	wd_viommu_report_t report;
	void *data;
	unsigned long region_pfn;
	unsigned long region_length;
};

/* --- for users of the layer; all may sleep --- */
bool wd_viommu_supported(struct device *dev, u32 type);
bool wd_viommu_owns(const struct wd_viommu *viommu, struct device *dev);
struct wd_viommu *wd_viommu_alloc(struct device *dev, struct iommu_domain *parent, u32 type,
				  u64 region_offset, struct wd_user_data *user,
				  wd_viommu_report_t report, void *data);
void wd_viommu_free(struct wd_viommu *viommu);
int wd_viommu_add_device(struct wd_viommu *viommu, struct device *dev, unsigned long virt_id);
void wd_viommu_remove_device(struct wd_viommu *viommu, unsigned long virt_id);
struct wd_pgtable *wd_viommu_table_alloc(struct wd_viommu *viommu, struct device *dev, u32 flags,
					 const struct wd_user_data *data);
int wd_viommu_invalidate(struct wd_viommu *viommu, u32 type, const void *entries, u32 entry_len,
			 u32 count, u32 *done);
bool wd_viommu_has_queues(const struct wd_viommu *viommu, u32 type);
u32 wd_viommu_nr_queues(const struct wd_viommu *viommu);
int wd_viommu_queue_add(struct wd_viommu *viommu, u32 index, phys_addr_t base, size_t length);
void wd_viommu_queue_remove(struct wd_viommu *viommu, u32 index);

/* --- for IOMMU drivers --- */
/* The device with a virtual id, or NULL; in viommu_invalidate, which has @viommu->lock. */
struct device *wd_viommu_find_device(struct wd_viommu *viommu, unsigned long virt_id);
/* The virtual id of a device. May sleep. Return: false: it has none */
bool wd_viommu_find_id(struct wd_viommu *viommu, const struct device *dev, unsigned long *virt_id);

static inline int wd_viommu_report(struct wd_viommu *viommu, u32 type, const void *event,
				   size_t length)
{
	return viommu->report(viommu->data, type, event, length);
}

#endif /* _WD_IOMMU_VIOMMU_H */
