/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Services of the IOMMU layer beyond Linux 6.1's own: PASID attach of kernel-managed I/O page
 * tables, with attach records per device and per domain. Proposal of July 2021; the user-managed
 * half (bind, invalidate, faults) is in iommu_nesting.h.
 *
 * Names are the proposal's with wd_ before them, since later kernels export some of those with
 * other signatures.
 */
#ifndef _WD_IOMMU_PASID_H
#define _WD_IOMMU_PASID_H

#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/types.h>

#include "iommu_nesting.h"

struct mm_struct;
struct wd_new_entry; /* an IOMMU driver's */
struct wd_replace;

/* Value of "no PASID": the requester id alone (Linux >= 6.6 calls it so too). */
#ifndef IOMMU_NO_PASID
#define IOMMU_NO_PASID 0
#endif

/**
 * struct wd_iommu_hw_info - properties of a device's IOMMU, for GET_HW_INFO
 * @type: enum iommu_hw_info_type
 * @len: bytes used in @data
 * @data: type specific, as in <linux/iommufd.h>
 * @max_pasid_log2: width of the PASID space usable by the device, 0 = none
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
 * struct wd_iommu_ops - operations of an IOMMU driver beside its struct iommu_ops
 * @owner: module
 * @domain_alloc_user: allocate an unmanaged paging domain for @dev with iommufd's HWPT allocation
 *	@flags; ERR_PTR(-EOPNOTSUPP) for a flag that the hardware does not have
 * @domain_serves: @domain, of this driver, is the domain that @domain_alloc_user would make for
 *	@dev and @flags now. Without it: it never is
 * @set_dev_pasid: install @domain at [@dev, @pasid]; the entry is not present before.
 *	IOMMU_NO_PASID: at the requester id, which the core has blocked
 * @remove_dev_pasid: tear [@dev, @pasid] down; when it returns no request of the device reaches
 *	memory through it, and every cache has forgotten it. Must not fail. IOMMU_NO_PASID: the
 *	requester id is blocked again; if the core has attached something there meanwhile, or has
 *	blocked it for good, there is nothing but to forget
 * @replace_prepare: everything that attaching @domain, or @table on it, at [@dev, @pasid] needs,
 *	where the layer has something attached. ERR_PTR as @set_dev_pasid or @bind_pgtable
 * @replace_commit: attach it. Each request finds the old attachment or the new one; when it returns
 *	none finds the old one. False, with the effect of @replace_abort, if the old attachment is
 *	gone: the core has attached something to the requester id
 * @replace_abort: undo @replace_prepare
 * @is_attached: for checks: the driver has @domain, or @table on it, at [@dev, @pasid], or nothing if
 *	@domain is NULL; @pasid is a PASID. Missing: it cannot say
 * @max_pasids: number of PASIDs usable by @dev (PASIDs 1 .. max-1), 0 = no PASID support
 * @hw_info: fill @info; the layer has zeroed it
 * @pgtable_alloc: allocate a user-managed table for @dev on @parent, after checking @data and the
 *	hardware of @dev: nothing of the table itself is read. @flags: IOMMU_HWPT_ALLOC_PASID.
 *	ERR_PTR(-EOPNOTSUPP) for a type or flag that is not known, ERR_PTR(-EINVAL) for bad data
 * @pgtable_free: free a table that is bound nowhere; its IOMMU may be gone
 * @bind_pgtable: install @table at [@dev, @pasid], as set_dev_pasid does with a domain; at the
 *	requester id also in the place of the parent, if the core has attached that. @dev may be of
 *	another IOMMU of the driver than the one that @table was made for: -EINVAL if that one
 *	cannot walk it
 * @unbind_pgtable: tear it down, as remove_dev_pasid; the requester id goes back to the core's
 *	attachment. Must not fail
 * @cache_invalidate: invalidate the ranges of @count entries of type @type at every place where
 *	@table is bound. @done (0 before) receives the number of entries that were done, also when
 *	one is refused. @count 0 only asks whether @type is known. No device is in use: may run
 *	beside bind, unbind and itself
 * @fault_credits: page requests that the device may have outstanding while it may send any
 * @faults_enable: the device may send page requests from now on (ATS and PRI on)
 * @faults_disable: it sends none any more
 * @page_response: answer a group. Called without the device's lock, also beside other operations,
 *	and in wd_iommu_report_fault(); must not wait for the page request queue. Never after the
 *	driver's wd_iommu_device_released() has returned
 * @reset_prepare: @dev is about to be reset: until @reset_done it reaches no memory and sends no
 *	page request; all that it has sent have been given to wd_iommu_report_fault() on return
 * @reset_done: @dev is as before, but its cached state is gone. Other operations may be called
 *	between the two
 * @mm_supported: @dev can walk page tables of processes on this machine; @faults: with page faults
 * @mm_table_alloc: a table object for the page table of @mm; it is freed, bound and unbound as a
 *	user-managed one is, at PASIDs only. Missing: no shared addresses, and no other of these
 * @mm_table_fill: let @table lead to the tables that the mm has for [@start, @end). In any context;
 *	no device is in use
 * @mm_table_flush: invalidate translations of @table for [@start, @end) at every place where it is
 *	bound, and every table of the mm that is no longer there; an empty or reversed range stands
 *	for all addresses, as Linux announces it. In any context; no device is in use
 * @mm_table_cut: as unbind_pgtable, but the entry stays taken, and requests that it refuses are not
 *	recorded; @unbind_pgtable follows
 *
 * All but @pgtable_free, @cache_invalidate, @mm_table_fill and @mm_table_flush are called with a
 * reference to the device's claim held; all but the last two may sleep. Operations from
 * @pgtable_alloc on, and the three of replace, may be missing. The tear-down of an entry returns
 * only when none of its page requests is under way any more: all have been given to
 * wd_iommu_report_fault(), which therefore takes no lock that is held over operations.
 */
struct wd_iommu_ops {
	struct module *owner;
	struct iommu_domain *(*domain_alloc_user)(struct device *dev, u32 flags);
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
	void (*page_response)(struct device *dev, bool has_pasid, ioasid_t pasid, u16 grpid,
			      enum wd_fault_code code);
	void (*reset_prepare)(struct device *dev);
	void (*reset_done)(struct device *dev);
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

/* --- for IOMMU drivers; implemented in where each is described --- */
int wd_iommu_register(struct iommu_device *iommu, const struct wd_iommu_ops *ops);
/* Every device must be released (WARN otherwise): then no call of @ops is running. */
void wd_iommu_unregister(struct iommu_device *iommu);
/* The driver's probe_device, and its failure paths and release_device. */
int wd_iommu_device_claimed(struct iommu_device *iommu, struct device *dev);
/*
 * The driver's release_device: every PASID of @dev is detached, every table unbound, its records
 * go. Later answers to its page requests are dropped.
 */
void wd_iommu_device_released(struct device *dev);
/*
 * The driver's domain allocation and free. A domain that was not announced cannot be attached;
 * false (with a warning) if records are left: do not free it.
 */
int wd_iommu_domain_created(struct iommu_domain *domain);
bool wd_iommu_domain_released(struct iommu_domain *domain);
/*
 * The driver's attach_dev tells the layer which domain the core has attached to the requester id
 * (NULL: none). Called between the tear-down of the old entry, whether the core's or the layer's,
 * and the set-up of the new one. Needs no memory.
 */
int wd_iommu_note_rid(struct iommu_domain *domain, struct device *dev);
/*
 * The IOMMU did not answer: memory that was mapped in @domain is never given to others. Any
 * context.
 */
void wd_iommu_domain_set_lost(struct iommu_domain *domain);
/* Attributes "attachments" and "leaked_pages" for the driver's iommu_device. */
extern const struct attribute_group wd_iommu_group;

/* --- for users of the layer; all may sleep --- */
struct iommu_domain *wd_iommu_domain_alloc_user(struct device *dev, u32 flags);
bool wd_iommu_domain_serves(struct iommu_domain *domain, struct device *dev, u32 flags);
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
/* Around a reset of @dev: it reaches nothing, and its page requests are answered (reset.c). */
void wd_iommu_reset_prepare(struct device *dev);
void wd_iommu_reset_done(struct device *dev);
int wd_iommu_for_each_attach(int (*fn)(const struct wd_iommu_attach *attach, void *arg), void *arg);

/* In any context. */
bool wd_iommu_domain_lost(struct iommu_domain *domain);
void wd_iommu_leaked(unsigned long pages);

#endif /* _WD_IOMMU_PASID_H */
