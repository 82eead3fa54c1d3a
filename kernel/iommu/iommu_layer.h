/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declarations that the parts of the layer share: devices (devices.c), domains and attach records
 * (attachments.c), and the services that use them: attach (pasid.c), user-managed tables
 * (nesting.c), replacement (replace.c), page faults (page_fault.c, fault_group.c), memory that dead
 * IOMMUs keep (lost.c).
 *
 * A record exists before the hardware entry is written and until after it is torn down.
 *
 * Locks, outer to inner:
 *	wd_device.lock		attach, bind and their undoing for one device, against its release.
 *				Held over the driver's operations
 *	wd_device.fault_lock	handlers and incomplete groups of one device. Not held over
 *				operations, except page_response, but over handlers
 *	wd_device.answer_lock	read: an answer is decided on, and on its way to the driver; write:
 *				none is
 *	wd_lock			(devices.c) the tables of drivers, devices and domains, and the
 *				lists of records
 *	wd_device.wait_lock	spinlock, groups that wait for an answer
 * The core's group mutex is outside all of them (attach_dev calls wd_iommu_note_rid()). Nothing
 * here takes it.
 */
#ifndef _WD_IOMMU_LAYER_H
#define _WD_IOMMU_LAYER_H

#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "iommu_pasid.h"
#include "wd_debug.h"

/**
 * struct wd_iommu - a registered IOMMU
 * @node: in wd_iommus
 * @iommu: Linux's object
 * @ops: the driver's
 * @devices: number of claimed devices
 * @fault_counts: groups that the layer answered itself, by reason
 */
struct wd_iommu {
	struct list_head node;
	struct iommu_device *iommu;
	const struct wd_iommu_ops *ops;
	unsigned int devices;
	atomic64_t fault_counts[WD_FAULT_COUNTS];
};

/**
 * struct wd_domain - a domain as the layer knows it
 * @domain: Linux's object
 * @id: number shown to people, from 1; 0 for the static domains
 * @type: name of the domain's type
 * @records: struct wd_attach of this domain
 * @lost: an IOMMU may use for ever memory that was mapped in it; never cleared
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
 * struct wd_attach - an attachment, in the ledger of the layer
 * @node: in wd_domain.records, or empty (the requester id's, while nothing is attached)
 * @domain: the domain, NULL if none
 * @device: the device
 * @pasid: PASID, or IOMMU_NO_PASID
 * @table: user-managed table on @domain that is bound there, NULL if none
 */
struct wd_attach {
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
 * @gone: released; calls that wait for @lock give up
 * @resets: resets that are under way
 * @rid: record of the requester id
 * @rid_core: domain that Linux's core has attached to it, NULL if none; wd_lock
 * @rid_taken: the layer has put something else in its place, see @rid; wd_lock
 * @replaces: struct wd_replace, prepared
 * @pasids: struct wd_attach by PASID
 * @fault_lock: see the top of the file
 * @handlers: struct wd_fault_handler by PASID
 * @nr_handlers: entries of @handlers
 * @partial: struct wd_partial_fault, requests of incomplete groups in the order of their arrival
 * @nr_partial: entries of @partial
 * @wait_lock: guards the members up to @shared_waits; see the top of the file
 * @credits: page requests that it may have outstanding
 * @waiting: struct wd_fault_group for which the device waits, in the order of their arrival
 * @waits: page requests of them
 * @shared_waits: those of @waits that belong to shared owners
 * @fault_check: looks for groups that wait for too long
 * @answer_lock: see the top of the file
 * @silent: the driver takes no more answers
 */
struct wd_device {
	struct kref kref;
	struct device *dev;
	struct wd_iommu *iommu;
	struct mutex lock;
	bool gone;
	unsigned int resets;
	struct wd_attach rid;
	struct wd_domain *rid_core;
	bool rid_taken;
	struct list_head replaces;
	struct xarray pasids;
	struct mutex fault_lock;
	struct xarray handlers;
	unsigned int nr_handlers;
	struct list_head partial;
	unsigned int nr_partial;
	spinlock_t wait_lock;
	unsigned int credits;
	struct list_head waiting;
	unsigned int waits, shared_waits;
	struct delayed_work fault_check;
	struct rw_semaphore answer_lock;
	bool silent;
};

/**
 * struct wd_fault_handler - the handler of page requests at [device, PASID]
 * @call: as registered
 * @data: as registered
 * @owner: as registered
 * @users: its registration, and every group that it has; wd_device.wait_lock, as for the members
 * below
 * @groups: struct wd_fault_group that it has not given back, oldest first
 * @held: page requests of them
 * @waits: those of @held that have no answer yet
 */
struct wd_fault_handler {
	wd_fault_handler_t call;
	void *data;
	enum wd_fault_owner owner;
	unsigned int users;
	struct list_head groups;
	unsigned int held, waits;
};

/* Pointers as indices: without the bits that alignment makes zero. */
static inline unsigned long wd_index(const void *pointer)
{
	return (unsigned long)pointer >> 3;
}

/* --- devices.c --- */
extern struct mutex wd_lock;
struct wd_device *wd_device_use(struct device *dev);
void wd_device_unuse(struct wd_device *device);
struct wd_device *wd_device_find(struct device *dev);
struct wd_device *wd_device_peek(struct device *dev);
void wd_device_get(struct wd_device *device);
void wd_device_put(struct wd_device *device);
int wd_device_insert(struct wd_device *device, struct iommu_device *iommu);
void wd_device_remove(struct wd_device *device);
int wd_check_pasid(struct wd_device *device, ioasid_t pasid);

/* --- agree.c --- */
bool wd_attach_agrees(struct wd_device *device, ioasid_t pasid);

/* --- attachments.c --- */
struct wd_domain *wd_domain_peek(struct iommu_domain *domain);
struct wd_attach *wd_attach_add(struct iommu_domain *domain, struct wd_device *device,
				ioasid_t pasid, struct wd_pgtable *table);
void wd_attach_remove(struct wd_attach *record);
int wd_rid_take(struct wd_device *device, struct iommu_domain *domain, struct wd_pgtable *table);
void wd_rid_give_back(struct wd_device *device);
struct wd_attach *wd_attach_at(struct wd_device *device, ioasid_t pasid);
bool wd_attach_is(const struct wd_attach *record, const struct iommu_domain *domain,
		  const struct wd_pgtable *table);
void wd_attach_move(struct wd_device *device, ioasid_t pasid, struct iommu_domain *domain,
		    struct wd_pgtable *table);
bool wd_pgtable_unused(const struct wd_pgtable *table);
void wd_rid_forget(struct wd_device *device);
bool wd_attach_nested(const struct wd_attach *record);
int wd_attach_walk(int (*fn)(const struct wd_attach *record, void *arg), void *arg);
bool wd_fits_parent(const struct wd_device *device, struct iommu_domain *parent);
void wd_detach(struct wd_device *device, struct wd_attach *record);
void wd_detach_from(struct iommu_domain *domain, struct wd_pgtable *table, struct device *dev,
		    ioasid_t pasid);

/* --- lost.c --- */
extern struct device_attribute dev_attr_leaked_pages;

/* --- replace.c --- */
void wd_replaces_release(struct wd_device *device);

/* --- page_fault.c --- */
void wd_faults_init(struct wd_device *device);
void wd_faults_release(struct wd_device *device);
void wd_faults_cancel(struct wd_device *device);

/* --- fault_group.c --- */
void wd_fault_groups_init(struct wd_device *device);
void wd_fault_groups_allow(struct wd_device *device, unsigned int credits);
void wd_fault_groups_cancel(struct wd_device *device);
void wd_fault_groups_silence(struct wd_device *device);
void wd_handler_put(struct wd_fault_handler *handler);
bool wd_group_admit(struct wd_fault_group *group);
void wd_fault_answer(struct wd_device *device, const struct wd_fault *last, enum wd_fault_code code,
		     enum wd_fault_count count);

/* --- sva.c --- */
/* Type of the static domain that bound page tables of processes are shown with. */
#define WD_IOMMU_DOMAIN_MM (1U << 16)

#endif /* _WD_IOMMU_LAYER_H */
