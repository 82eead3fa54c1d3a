/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the layer share: objects and records (registry.c), and the services that use
 * them: attach (pasid.c), user-managed tables (nesting.c), page faults (page_fault.c).
 *
 * A record exists before the hardware entry is written and until after it is torn down.
 *
 * Locks, outer to inner:
 *	wd_device.lock		attach, bind and their undoing for one device, against its release.
 *				Held over the driver's operations
 *	wd_device.fault_lock	handlers and incomplete groups of one device. Not held over
 *				operations, except page_response, but over handlers
 *	wd_device.answer_lock	read: an answer is on its way to the driver; write: no more
 *	wd_lock			(registry.c) the tables of drivers, devices and domains, and the
 *				lists of records
 * The core's group mutex is outside all of them (attach_dev calls wd_iommu_note_rid()). Nothing
 *here takes it.
 */
#ifndef _WD_IOMMU_LAYER_H
#define _WD_IOMMU_LAYER_H

#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
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
 * @table: user-managed table that is bound there, NULL if none. Its parent is @domain, unless the
 *	requester id has been given to another domain behind its back
 */
struct wd_record {
	struct list_head node;
	struct wd_domain *domain;
	struct wd_device *device;
	ioasid_t pasid;
	struct wd_pgtable *table;
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
 * @fault_lock: see the top of the file
 * @handlers: struct wd_fault_handler by PASID
 * @nr_handlers: entries of @handlers
 * @partial: struct wd_partial_fault, requests of incomplete groups in the order of their arrival
 * @nr_partial: entries of @partial
 * @pending: requests of groups that are not answered
 * @answer_lock: see the top of the file
 * @silent: the driver takes no more answers
 */
struct wd_device {
	struct kref kref;
	struct device *dev;
	struct wd_iommu *iommu;
	struct mutex lock;
	bool gone;
	struct wd_record rid;
	struct xarray pasids;
	struct mutex fault_lock;
	struct xarray handlers;
	unsigned int nr_handlers;
	struct list_head partial;
	unsigned int nr_partial;
	atomic_t pending;
	struct rw_semaphore answer_lock;
	bool silent;
};

/* --- registry.c --- */
struct wd_device *wd_device_use(struct device *dev);
void wd_device_unuse(struct wd_device *device);
struct wd_device *wd_device_find(struct device *dev);
void wd_device_get(struct wd_device *device);
void wd_device_put(struct wd_device *device);
bool wd_domain_known(struct iommu_domain *domain);
struct wd_record *wd_record_add(struct iommu_domain *domain, struct wd_device *device,
				ioasid_t pasid, struct wd_pgtable *table);
void wd_record_remove(struct wd_record *record);
int wd_record_set_table(struct wd_record *record, struct iommu_domain *parent,
			struct wd_pgtable *table);
void wd_record_clear_table(struct wd_record *record);
bool wd_pgtable_unused(const struct wd_pgtable *table);

/* --- pasid.c --- */
int wd_check_pasid(struct wd_device *device, ioasid_t pasid);

/* --- nesting.c --- */
void wd_unbind_rid(struct wd_device *device);
void wd_detach(struct wd_device *device, struct wd_record *record);

/* --- page_fault.c --- */
void wd_faults_init(struct wd_device *device);
void wd_faults_release(struct wd_device *device);
void wd_faults_destroy(struct wd_device *device);

/* --- sva.c --- */
/* Type of the static domain that bound page tables of processes are shown with. */
#define WD_IOMMU_DOMAIN_MM (1U << 16)

#endif /* _WD_IOMMU_LAYER_H */
