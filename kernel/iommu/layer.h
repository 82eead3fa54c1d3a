/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two halves of the layer share: objects and records (registry.c), and the services that
 * use them (pasid.c).
 *
 * A record exists before the hardware entry is written and until after it is torn down.
 *
 * Locks, outer to inner:
 *	wd_device.lock	attach and detach of one device's PASIDs, against its release. Held over
 *			the driver's operations
 *	wd_lock		(registry.c) the tables of drivers, devices and domains, and the lists of
 *			records
 * The core's group mutex is outside both (attach_dev calls wd_iommu_note_rid()). Nothing here
 * takes it.
 */
#ifndef _WD_IOMMU_LAYER_H
#define _WD_IOMMU_LAYER_H

#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include "iommu_pasid.h"

/**
 * struct wd_iommu - a registered IOMMU
 * @node: in wd_iommus
 * @iommu: Linux's object
 * @ops: the driver's
 * @devices: number of claimed devices
 */
struct wd_iommu {
	struct list_head node;
	struct iommu_device *iommu;
	const struct wd_iommu_ops *ops;
	unsigned int devices;
};

/**
 * struct wd_domain - a domain as the layer knows it
 * @domain: Linux's object
 * @id: number shown to people, from 1; 0 for the static domains
 * @type: name of the domain's type
 * @records: struct wd_record of this domain
 * @node: in wd_domain_list
 */
struct wd_domain {
	struct list_head node;
	struct iommu_domain *domain;
	int id;
	const char *type;
	struct list_head records;
};

/**
 * struct wd_record - an attachment
 * @node: in wd_domain.records, or empty (the requester id's, while nothing is attached)
 * @domain: the domain, NULL if none
 * @device: the device
 * @pasid: PASID, or IOMMU_NO_PASID
 */
struct wd_record {
	struct list_head node;
	struct wd_domain *domain;
	struct wd_device *device;
	ioasid_t pasid;
};

/**
 * struct wd_device - a claimed device
 * @kref: one for the claim, one for each call that is using the device
 * @dev: the device
 * @iommu: its IOMMU
 * @lock: see the top of the file
 * @gone: released; what is waiting for @lock gives up
 * @rid: record of the requester id
 * @pasids: struct wd_record by PASID
 */
struct wd_device {
	struct kref kref;
	struct device *dev;
	struct wd_iommu *iommu;
	struct mutex lock;
	bool gone;
	struct wd_record rid;
	struct xarray pasids;
};

struct wd_device *wd_device_use(struct device *dev);
void wd_device_unuse(struct wd_device *device);
struct wd_record *wd_record_add(struct iommu_domain *domain, struct wd_device *device,
				ioasid_t pasid);
void wd_record_remove(struct wd_record *record);
void wd_detach(struct wd_device *device, struct wd_record *record);

#endif /* _WD_IOMMU_LAYER_H */
