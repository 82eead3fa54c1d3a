/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Services of the IOMMU layer that Linux 6.1 lacks: attach of kernel-managed I/O page tables at
 * PASIDs, with records per device and per domain. They follow the proposal of July 2021. Its other
 * half, on user-managed tables (bind, invalidate, faults), is in iommu_nesting.h.
 *
 * The names are those of the proposal with wd_ in front, since later kernels export some of them
 * with other signatures.
 */
#ifndef _WD_IOMMU_PASID_H
#define _WD_IOMMU_PASID_H

#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/types.h>

#include "iommu_nesting.h"

struct mm_struct;
struct wd_replace;
struct wd_viommu;

/**
 * struct wd_new_entry - a prepared attachment, which is about to replace another one; the IOMMU's
 *	driver embeds it in its own record
 * @pasid: PASID or IOMMU_NO_PASID
 */
struct wd_new_entry {
	ioasid_t pasid;
};

/* "No PASID", that is the requester id alone. Linux has the name from 6.6 on. */
#ifndef IOMMU_NO_PASID
#define IOMMU_NO_PASID 0
#endif

/**
 * struct wd_iommu_hw_info - properties of a device's IOMMU, for GET_HW_INFO
 * @type: enum iommu_hw_info_type
 * @len: bytes used in @data
 * @data: type specific, as in <linux/iommufd.h>
 * @max_pasid_log2: number of PASID bits that the device can use, 0 = none
 * @capabilities: enum iommufd_hw_capabilities
 */
struct wd_iommu_hw_info {
	u32 type;
	u32 len;
	u8 data[64];
	u8 max_pasid_log2;
	u64 capabilities;
};

/**
 * struct wd_dirty_read - look for pages that devices have written
 * @first: first address
 * @last: last address. The look ends with the page that has it
 * @limit: last address to report, at least @last: a large page may reach beyond @last
 * @clear: take the pages that lie wholly in [@first, @limit] for clean afterwards. A page that lies
 *	there only partly stays dirty
 * @report: gets the part in [@first, @limit] of each dirty page, in ascending order. In atomic
 *	context. May be NULL
 * @arg: for @report
 */
struct wd_dirty_read {
	u64 first;
	u64 last;
	u64 limit;
	bool clear;
	void (*report)(void *arg, u64 first, u64 last);
	void *arg;
};

/**
 * struct wd_iommu_ops - operations of an IOMMU driver beside its struct iommu_ops
 * @owner: module
 * @domain_data: @domain_alloc_user takes @data
 * @domain_alloc_user: allocate an unmanaged paging domain for @dev with iommufd's HWPT allocation
 *	@flags; ERR_PTR(-EOPNOTSUPP) for a flag that the hardware does not have. @data: what user
 *	space says of the domain, or NULL
 * @domain_serves: would @domain_alloc_user make a domain like @domain for @dev and @flags now?
 *	@domain is one of this driver. Missing: never
 * @set_dev_pasid: install @domain at [@dev, @pasid]; the entry is not present before.
 *	IOMMU_NO_PASID: at the requester id, which the core has blocked
 * @remove_dev_pasid: tear [@dev, @pasid] down; when it returns no request of the device reaches
 *	memory through it, and no cache has an entry of it. Must not fail. IOMMU_NO_PASID: block the
 *	requester id again; but if the core has attached something there meanwhile, or has blocked
 *	it for good, only drop the driver's record
 * @replace_prepare: do all steps that may fail of replacing the attachment at [@dev, @pasid] by
 *	@domain, or by @table on it. ERR_PTR as @set_dev_pasid or @bind_pgtable
 * @replace_commit: replace it. Each request finds the old attachment or the new one; when it
 *	returns none finds the old one. False, with the effect of @replace_abort, if the old
 *	attachment is gone: the core has attached something to the requester id
 * @replace_abort: undo @replace_prepare
 * @is_attached: for checks: does the driver have @domain, or @table on it, at [@dev, @pasid]? With
 *	@domain NULL: does it have nothing there? @pasid is never IOMMU_NO_PASID. Missing: not
 *	checked
 * @read_dirty: see struct wd_dirty_read, for a @domain that was allocated with
 *	IOMMU_HWPT_ALLOC_DIRTY_TRACKING. Every write of a device that comes later than the return
 *	makes its page dirty again. -EIO if that cannot be made sure. Missing: @domain_alloc_user
 *	refuses the flag
 * @mark_dirty: take the pages of @domain that have addresses in [@first, @last] for dirty
 * @max_pasids: number of PASIDs usable by @dev (PASIDs 1 .. max-1), 0 = no PASID support
 * @hw_info: fill @info; the layer has zeroed it
 * @pgtable_alloc: allocate a user-managed table for @dev on @parent, after checking @data and the
 *	hardware of @dev. The driver does not read the table itself. @flags: IOMMU_HWPT_ALLOC_PASID.
 *	ERR_PTR(-EOPNOTSUPP) for a type or flag that is not known, ERR_PTR(-EINVAL) for bad data
 * @pgtable_free: free a table that is bound nowhere; its IOMMU may be gone
 * @bind_pgtable: install @table at [@dev, @pasid], as @set_dev_pasid does with a domain; at the
 *	requester id also in place of the parent, if the core has attached that. @dev may belong to
 *	another IOMMU of the driver than the one that @table was made for: -EINVAL if this IOMMU
 *	cannot walk the table
 * @unbind_pgtable: tear it down, as remove_dev_pasid; the requester id goes back to the core's
 *	attachment. Must not fail
 * @cache_invalidate: invalidate the ranges of @count entries of type @type at every place where
 *	@table is bound. @done (0 before) receives the number of entries that were done, also when
 *	one is refused. @count 0 only asks whether @type is known. No device is in use: may run
 *	beside bind, unbind and itself
 * @fault_credits: page requests that the device may have outstanding while it may send any
 * @faults_enable: let the device send page requests (ATS and PRI on)
 * @faults_disable: undo @faults_enable
 * @faults_sync: on return all page requests that the IOMMU has received from @dev before the call
 *	have been given to wd_iommu_report_fault()
 * @page_response: answer a group. The layer may call this while other operations run, without the
 *	device's lock, and from inside wd_iommu_report_fault(); must not wait for the page request
 *	queue. Never called after wd_iommu_device_released() has returned
 * @reset_prepare: @dev is about to be reset: until @reset_done it reaches no memory and sends no
 *	page request. On return all page requests have been given to wd_iommu_report_fault()
 * @reset_done: let @dev work as before; translations that it had cached are gone. The layer may
 *	call other operations between the two
 * @viommu_type: enum iommu_viommu_type of its virtual IOMMUs
 * @viommu_alloc: make a virtual IOMMU on @parent for the IOMMU of @dev. @region_offset: tell the user
 *	to map its region there. @user: what the user says of it, for the answer too; may be NULL
 * @viommu_free: undo it; the IOMMU may be gone
 * @viommu_table_alloc: as @pgtable_alloc, for a virtual IOMMU. @bind_pgtable may want the device to
 *	have a virtual id (-ENOENT). Missing: it has no tables
 * @viommu_invalidate: as @cache_invalidate, for what devices have cached
 * @viommu_queue_type: enum iommu_hw_queue_type of its queues
 * @viommu_nr_queues: number of them
 * @viommu_queue_add: start the queue with number @index, below @viommu_nr_queues; those before it
 *	are started. Missing: it has none
 * @viommu_queue_remove: stop it; on return the hardware does not use its memory
 * @mm_supported: can @dev walk page tables of processes on this machine? @faults: with page faults
 * @mm_table_alloc: make a table object for the page table of @mm. The layer binds, unbinds and
 *	frees it as a user-managed table, at PASIDs only. Missing: there is no SVA, and no other mm_
 *	operation
 * @mm_table_fill: let @table lead to the tables that the mm has for [@start, @end). In any context;
 *	without a reference to a device
 * @mm_table_flush: at every place where @table is bound, invalidate translations of [@start, @end),
 *	and remove entries that lead to tables which the mm no longer has. An empty or reversed
 *	range stands for all addresses, as in Linux. In any context; without a reference to a device
 * @mm_table_cut: as @unbind_pgtable, but the entry stays taken, and the hardware does not record
 *	the requests that it refuses. The layer calls @unbind_pgtable later
 *
 * The layer calls all but @read_dirty, @mark_dirty, @pgtable_free, @cache_invalidate, @mm_table_fill,
 * @mm_table_flush, and those of a virtual IOMMU that exists, with a reference to the device's claim
 * held; all but @mm_table_fill and @mm_table_flush may sleep. Operations from @pgtable_alloc on,
 * those of dirty tracking, and the three of replace, may be missing. The tear-down of an entry waits
 * until the driver has given all its page requests to wd_iommu_report_fault(); so that function
 * takes no lock that is held while operations run.
 */
struct wd_iommu_ops {
	struct module *owner;
	bool domain_data;
	struct iommu_domain *(*domain_alloc_user)(struct device *dev, u32 flags,
						  const struct wd_user_data *data);
	bool (*domain_serves)(struct iommu_domain *domain, struct device *dev, u32 flags);
	int (*set_dev_pasid)(struct iommu_domain *domain, struct device *dev, ioasid_t pasid);
	void (*remove_dev_pasid)(struct iommu_domain *domain, struct device *dev, ioasid_t pasid);
	struct wd_new_entry *(*replace_prepare)(struct iommu_domain *domain,
						struct wd_pgtable *table, struct device *dev,
						ioasid_t pasid);
	bool (*replace_commit)(struct device *dev, struct wd_new_entry *entry);
	void (*replace_abort)(struct wd_new_entry *entry);
	bool (*is_attached)(struct device *dev, ioasid_t pasid, struct iommu_domain *domain,
			    struct wd_pgtable *table);
	int (*read_dirty)(struct iommu_domain *domain, const struct wd_dirty_read *read);
	void (*mark_dirty)(struct iommu_domain *domain, u64 first, u64 last);
	u32 (*max_pasids)(struct device *dev);
	int (*hw_info)(struct device *dev, struct wd_iommu_hw_info *info);
	struct wd_pgtable *(*pgtable_alloc)(struct device *dev, struct iommu_domain *parent,
					    u32 flags, const struct wd_user_data *data);
	void (*pgtable_free)(struct wd_pgtable *table);
	int (*bind_pgtable)(struct wd_pgtable *table, struct device *dev, ioasid_t pasid);
	void (*unbind_pgtable)(struct wd_pgtable *table, struct device *dev, ioasid_t pasid);
	int (*cache_invalidate)(struct wd_pgtable *table, u32 type, const void *entries,
				u32 entry_len, u32 count, u32 *done);
	u32 (*fault_credits)(struct device *dev);
	int (*faults_enable)(struct device *dev);
	void (*faults_disable)(struct device *dev);
	void (*faults_sync)(struct device *dev);
	void (*page_response)(struct device *dev, bool has_pasid, ioasid_t pasid, u16 grpid,
			      enum wd_fault_code code);
	void (*reset_prepare)(struct device *dev);
	void (*reset_done)(struct device *dev);
	u32 viommu_type;
	struct wd_viommu *(*viommu_alloc)(struct device *dev, struct iommu_domain *parent,
					  u64 region_offset, struct wd_user_data *user);
	void (*viommu_free)(struct wd_viommu *viommu);
	struct wd_pgtable *(*viommu_table_alloc)(struct wd_viommu *viommu, u32 flags,
						 const struct wd_user_data *data);
	int (*viommu_invalidate)(struct wd_viommu *viommu, u32 type, const void *entries,
				 u32 entry_len, u32 count, u32 *done);
	u32 viommu_queue_type;
	u32 viommu_nr_queues;
	int (*viommu_queue_add)(struct wd_viommu *viommu, u32 index, phys_addr_t base,
				size_t length);
	void (*viommu_queue_remove)(struct wd_viommu *viommu, u32 index);
	bool (*mm_supported)(struct device *dev, bool faults);
	struct wd_pgtable *(*mm_table_alloc)(struct device *dev, struct mm_struct *mm);
	void (*mm_table_fill)(struct wd_pgtable *table, unsigned long start, unsigned long end);
	void (*mm_table_flush)(struct wd_pgtable *table, unsigned long start, unsigned long end);
	void (*mm_table_cut)(struct wd_pgtable *table, struct device *dev, ioasid_t pasid);
};

/**
 * struct wd_iommu_attach - one attach record, as handed to a walk
 * @dev: the device
 * @domain: the domain
 * @pasid: PASID, or IOMMU_NO_PASID for the requester id itself
 * @nested: a user-managed table on @domain is bound there
 */
struct wd_iommu_attach {
	struct device *dev;
	struct iommu_domain *domain;
	ioasid_t pasid;
	bool nested;
};

/* --- for IOMMU drivers; each is described where it is implemented --- */
int wd_iommu_register(struct iommu_device *iommu, const struct wd_iommu_ops *ops);
/* The driver has released every device (WARN otherwise), so no operation is running. */
void wd_iommu_unregister(struct iommu_device *iommu);
/* For the driver's probe_device. Its failure paths and release_device call the one below. */
int wd_iommu_device_claimed(struct iommu_device *iommu, struct device *dev);
/*
 * For the driver's release_device: the layer detaches every PASID of @dev, unbinds every table and
 * drops the records. It drops later answers to page requests of @dev.
 */
void wd_iommu_device_released(struct device *dev);
/*
 * For the driver's allocation and free of domains. A domain can be attached only after the first
 * call. The second returns false, with a warning, if records are left: then do not free the domain.
 */
int wd_iommu_domain_created(struct iommu_domain *domain);
bool wd_iommu_domain_released(struct iommu_domain *domain);
/*
 * For the driver's attach_dev: tell the layer which domain the core attaches to the requester id
 * (NULL: none). To be called after the tear-down of the old entry, which the core or the layer has
 * attached, and before the set-up of the new one. Allocates nothing.
 */
int wd_iommu_note_rid(struct iommu_domain *domain, struct device *dev);
/*
 * The IOMMU did not answer: the owner must never give memory that was mapped in @domain to others.
 * Any context.
 */
void wd_iommu_domain_set_lost(struct iommu_domain *domain);
/* Attributes "attachments" and "leaked_pages", for the driver's struct iommu_device. */
extern const struct attribute_group wd_iommu_group;

/* --- for users of the layer; all may sleep --- */
bool wd_iommu_takes_domain_data(struct device *dev);
struct iommu_domain *wd_iommu_domain_alloc_user(struct device *dev, u32 flags,
						const struct wd_user_data *data);
bool wd_iommu_domain_serves(struct iommu_domain *domain, struct device *dev, u32 flags);
int wd_iommu_read_dirty(struct iommu_domain *domain, const struct wd_dirty_read *read);
void wd_iommu_mark_dirty(struct iommu_domain *domain, u64 first, u64 last);
int wd_iommu_attach_device_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid);
void wd_iommu_detach_device_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid);
int wd_iommu_attach_rid(struct iommu_domain *domain, struct device *dev);
void wd_iommu_detach_rid(struct iommu_domain *domain, struct device *dev);
struct wd_replace *wd_iommu_replace_prepare(struct iommu_domain *domain, struct wd_pgtable *table,
					    struct device *dev, ioasid_t pasid);
void wd_iommu_replace_commit(struct wd_replace *replace);
void wd_iommu_replace_abort(struct wd_replace *replace);
bool wd_iommu_attach_agrees(struct iommu_domain *domain, struct wd_pgtable *table,
			    struct device *dev, ioasid_t pasid);
u32 wd_iommu_max_pasids(struct device *dev);
int wd_iommu_hw_info(struct device *dev, struct wd_iommu_hw_info *info);
/* To be called before and after a reset of @dev, see reset.c. */
void wd_iommu_reset_prepare(struct device *dev);
void wd_iommu_reset_done(struct device *dev);
int wd_iommu_for_each_attach(int (*fn)(const struct wd_iommu_attach *attach, void *arg), void *arg);

/* In any context. */
bool wd_iommu_domain_lost(struct iommu_domain *domain);
void wd_iommu_leaked(unsigned long pages);

#endif /* _WD_IOMMU_PASID_H */
