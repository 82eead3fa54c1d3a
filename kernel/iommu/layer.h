/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the layer share: objects and records (registry.c), and the services that use
 * them: attach (pasid.c), user-managed tables (nesting.c), one in the place of another (replace.c),
 * page faults (page_fault.c), what dead IOMMUs keep (lost.c).
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
 * @lost: an IOMMU may use what was mapped in it for ever; only ever set
 * @node: in wd_domain_list
 */
struct wd_domain {
	struct list_head node;
	struct iommu_domain *domain;
	int id;
	const char *type;
	struct list_head records;
	bool lost;
};

/**
 * struct wd_record - an attachment
 * @node: in wd_domain.records, or empty (the requester id's, while nothing is attached)
 * @domain: the domain, NULL if none
 * @device: the device
 * @pasid: PASID, or IOMMU_NO_PASID
 * @table: user-managed table on @domain that is bound there, NULL if none
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
 * @rid_core: domain that Linux's core has attached to it, NULL if none; wd_lock
 * @rid_taken: the layer has put something in its place: what @rid says; wd_lock
 * @replaces: struct wd_replace, prepared
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
	struct wd_domain *rid_core;
	bool rid_taken;
	struct list_head replaces;
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
struct wd_domain *wd_domain_peek(struct iommu_domain *domain);
struct wd_record *wd_record_add(struct iommu_domain *domain, struct wd_device *device,
				ioasid_t pasid, struct wd_pgtable *table);
void wd_record_remove(struct wd_record *record);
int wd_rid_take(struct wd_device *device, struct iommu_domain *domain, struct wd_pgtable *table);
void wd_rid_give_back(struct wd_device *device);
struct wd_record *wd_record_at(struct wd_device *device, ioasid_t pasid);
bool wd_record_is(const struct wd_record *record, const struct iommu_domain *domain,
		  const struct wd_pgtable *table);
void wd_record_move(struct wd_device *device, ioasid_t pasid, struct iommu_domain *domain,
		    struct wd_pgtable *table);
bool wd_pgtable_unused(const struct wd_pgtable *table);

/* --- lost.c --- */
extern struct device_attribute dev_attr_leaked_pages;

/* --- pasid.c --- */
int wd_check_pasid(struct wd_device *device, ioasid_t pasid);

/* --- nesting.c --- */
bool wd_fits_parent(const struct wd_device *device, struct iommu_domain *parent);
void wd_detach(struct wd_device *device, struct wd_record *record);
void wd_detach_from(struct iommu_domain *domain, struct wd_pgtable *table, struct device *dev,
		    ioasid_t pasid);

/* --- replace.c --- */
void wd_replaces_release(struct wd_device *device);

/* --- page_fault.c --- */
void wd_faults_init(struct wd_device *device);
void wd_faults_release(struct wd_device *device);
void wd_faults_destroy(struct wd_device *device);

/* --- sva.c --- */
/* Type of the static domain that bound page tables of processes are shown with. */
#define WD_IOMMU_DOMAIN_MM (1U << 16)

#endif /* _WD_IOMMU_LAYER_H */
