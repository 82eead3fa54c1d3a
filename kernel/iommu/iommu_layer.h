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
 *				Held while operations of the driver run
 *	wd_device.fault_lock	handlers and incomplete groups of one device. Held while handlers
 *				run; of the driver's operations only page_response runs under it
 *	wd_device.answer_lock	readers: threads that give an answer to the driver. A writer waits
 *				until all such answers have been sent
 *	wd_lock			(devices.c) the tables of drivers, devices and domains, and the
 *				lists of records
 *	wd_device.wait_lock	spinlock, groups that wait for an answer
 * The core's group mutex is outside all of them (attach_dev calls wd_iommu_note_rid()). The layer
 * never takes it.
 */
#ifndef _WD_IOMMU_LAYER_H
#define _WD_IOMMU_LAYER_H

#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
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
 * @fault_counts: groups that the layer answered instead of their owner, by reason
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
 * @id: number shown in sysfs, from 1; 0 for the static domains
 * @type: name of the domain's type
 * @records: struct wd_attach of this domain
 * @ops: of its driver, if the domain was allocated for user space; otherwise NULL. Does not change
 *	once others know the domain
 * @lost: a dead IOMMU may still use memory that was mapped in it. Never cleared
 * @node: in wd_domain_list
 */
struct wd_domain {
	struct list_head node;
	struct iommu_domain *domain;
	int id;
	const char *type;
	struct list_head records;
	const struct wd_iommu_ops *ops;
	bool lost;
};

/**
 * struct wd_attach - the layer's record of an attachment
 * @node: in wd_domain.records; empty in the record of a requester id without an attachment
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
 * @gone: released; calls that waited for @lock meanwhile fail
 * @resets: number of resets that are running (they nest)
 * @rid: record of the requester id
 * @rid_core: domain that Linux's core has attached to the requester id, or NULL; wd_lock
 * @rid_taken: the layer has attached something in place of @rid_core, see @rid; wd_lock
 * @replaces: prepared replacements, struct wd_replace
 * @pasids: struct wd_attach by PASID
 * @fault_lock: see the top of the file
 * @handlers: struct wd_fault_handler by PASID
 * @nr_handlers: entries of @handlers
 * @partial: struct wd_fault_request of incomplete groups, in the order of their arrival
 * @refused: number of those with WD_FAULT_BAD
 * @wait_lock: guards the members up to @shared_waits; see the top of the file
 * @credits: number of page requests that the device may have outstanding
 * @fault_users: struct wd_fault_user
 * @waiting: each struct wd_fault_group without an answer, in the order of their arrival
 * @waits: number of page requests in @waiting
 * @shared_waits: number of those that belong to shared owners
 * @fault_check: work that looks for groups which have waited for too long
 * @answer_lock: see the top of the file
 * @silent: the device was released: the layer drops answers to it
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
	unsigned int refused;
	spinlock_t wait_lock;
	unsigned int credits;
	struct list_head fault_users;
	struct list_head waiting;
	unsigned int waits, shared_waits;
	struct delayed_work fault_check;
	struct rw_semaphore answer_lock;
	bool silent;
};

/**
 * struct wd_fault_slot - memory for a page request
 * @user: the user that pays for it
 * @request: the request; its node is in wd_fault_user.free while the slot is free
 * @group: the group, used only in the slot of its last request
 */
struct wd_fault_slot {
	struct wd_fault_user *user;
	struct wd_fault_request request;
	struct wd_fault_group group;
};

/**
 * struct wd_fault_user - a user with handlers of one kind at a device
 * @node: in wd_device.fault_users; wd_device.wait_lock guards all members
 * @uid: the user
 * @owner: kind of the owners of these handlers
 * @handlers: number of handlers
 * @groups: struct wd_fault_group that have not been given back, oldest first
 * @held: number of page requests in @groups
 * @waits: number of those that have no answer yet
 * @free: slots that were used and are free again, by wd_fault_slot.request
 * @fresh: number of slots that were never used: the first ones of @slots
 * @slots: memory for page requests, as many as the device has credits
 */
struct wd_fault_user {
	struct list_head node;
	kuid_t uid;
	enum wd_fault_owner owner;
	unsigned int handlers;
	struct list_head groups;
	unsigned int held, waits;
	struct list_head free;
	unsigned int fresh;
	struct wd_fault_slot slots[];
};

/**
 * struct wd_fault_handler - the handler of page requests at [device, PASID]
 * @call: the function, as registered
 * @data: data for @call
 * @take_back: takes a group away from the owner. False: the owner is about to answer it. NULL: this
 *	is never possible. Called with wd_device.wait_lock held
 * @user: the user that registered it
 * @privileged: with this handler, the user may exceed the user's share
 * @users: 1 for the registration and 1 for each group that it has. wd_device.wait_lock guards this
 *	and the members below
 * @groups: struct wd_fault_group that it has not given back, oldest first
 * @held: number of page requests in @groups
 * @waits: number of those that have no answer yet
 */
struct wd_fault_handler {
	wd_fault_handler_t call;
	void *data;
	bool (*take_back)(struct wd_fault_group *group);
	struct wd_fault_user *user;
	bool privileged;
	unsigned int users;
	struct list_head groups;
	unsigned int held, waits;
};

static inline struct wd_fault_slot *wd_slot_of(const struct wd_fault_request *request)
{
	return container_of(request, struct wd_fault_slot, request);
}

static inline const struct wd_fault *wd_fault_last(const struct wd_fault_group *group)
{
	return &list_last_entry(&group->requests, struct wd_fault_request, node)->fault;
}

/* A pointer as an index: alignment makes its lowest bits 0, so drop them. */
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
int wd_fault_register(struct device *dev, ioasid_t pasid, enum wd_fault_owner owner,
		      wd_fault_handler_t handler, bool (*take_back)(struct wd_fault_group *group),
		      void *data);

/* --- fault_group.c --- */
void wd_fault_groups_init(struct wd_device *device);
void wd_fault_groups_allow(struct wd_device *device, unsigned int credits);
void wd_fault_groups_cancel(struct wd_device *device);
void wd_fault_groups_silence(struct wd_device *device);
bool wd_group_admit(struct wd_fault_group *group);
void wd_fault_answer(struct wd_device *device, const struct wd_fault *last, enum wd_fault_code code,
		     enum wd_fault_count count);

/* --- fault_share.c --- */
/*
 * Time limit for page requests of a process that holds more than its share. The kernel answers
 * within microseconds, unless it waits for a file system or for another process.
 */
#define WD_FAULT_PATIENCE_MS 500
int wd_user_join(struct wd_device *device, struct wd_fault_handler *handler,
		 enum wd_fault_owner owner);
struct wd_fault_user *wd_handler_put(struct wd_fault_handler *handler);
struct wd_fault_slot *wd_slot_get(struct wd_fault_user *user);
void wd_slot_put(struct wd_fault_request *request);
bool wd_share_waited(const struct wd_fault_group *group, u64 now, u64 ns);
bool wd_share_take(struct wd_fault_group *group);
void wd_share_end_wait(struct wd_fault_group *group);
struct wd_fault_user *wd_share_give_back(struct wd_fault_group *group);
bool wd_share_exceeded(const struct wd_fault_group *group, u64 now);

/* --- sva.c --- */
/* Type of the static domain in the records of all bonds. */
#define WD_IOMMU_DOMAIN_MM (1U << 16)

#endif /* _WD_IOMMU_LAYER_H */
