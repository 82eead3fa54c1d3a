/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User-managed I/O page tables, nested on a kernel-managed parent, and page faults: the second half
 * of the services that the proposal of July 2021 asks for (Documentation/design/nesting.rst).
 *
 * A user-managed table has a parent (a paging domain made with IOMMU_HWPT_ALLOC_NEST_PARENT) and
 * an address in the parent's address space. Binding it at [device, PASID] implies that the parent
 * is attached there; binding it at the requester id turns the core's attachment of the parent into
 * a nested one until the unbind, or is an attachment of its own if the core has blocked it.
 */
#ifndef _WD_IOMMU_NESTING_H
#define _WD_IOMMU_NESTING_H

#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/types.h>

struct iommu_device;
struct wd_device;
struct wd_fault_handler;
struct wd_iommu_ops;

#define WD_USER_DATA_MAX 64

/**
 * struct wd_user_data - a user's description of a table, copied from user space
 * @type: enum iommu_hwpt_data_type
 * @len: bytes that the user gave; more than WD_USER_DATA_MAX are not in @data
 * @data: the first bytes, zero beyond @len
 */
struct wd_user_data {
	u32 type;
	u32 len;
	u8 data[WD_USER_DATA_MAX];
};

/**
 * struct wd_pgtable - a user-managed table; embedded in the driver's own structure
 * @parent: paging domain that it is nested on; kept by the code that allocated the table
 * @ops: the driver's; its module is held as long as the table is there
 * @binds: places where it is bound; the layer's lock
 *
 * A table may be bound to devices of every IOMMU of the driver that made it, as a domain may be
 * attached to them.
 */
struct wd_pgtable {
	struct iommu_domain *parent;
	const struct wd_iommu_ops *ops;
	unsigned int binds;
};

/* Permissions that a device asked for: enum iommu_hwpt_pgfault_perm has the same bits. */
#define WD_FAULT_READ BIT(0)
#define WD_FAULT_WRITE BIT(1)
#define WD_FAULT_EXEC BIT(2)
#define WD_FAULT_PRIV BIT(3)

#define WD_FAULT_PASID_VALID BIT(0)
#define WD_FAULT_LAST_PAGE BIT(1)

/**
 * struct wd_fault - one page request
 * @addr: page address
 * @pasid: valid with WD_FAULT_PASID_VALID
 * @grpid: page request group index, chosen by the device
 * @perm: WD_FAULT_READ ...
 * @flags: WD_FAULT_PASID_VALID, WD_FAULT_LAST_PAGE
 */
struct wd_fault {
	u64 addr;
	u32 pasid;
	u16 grpid;
	u8 perm;
	u8 flags;
};

enum wd_fault_code {
	WD_FAULT_SUCCESS, /* the device tries again */
	WD_FAULT_INVALID, /* the device's request fails */
	WD_FAULT_FAILURE, /* the device makes no more page requests */
};

/**
 * enum wd_fault_owner - kind of the party that answers page requests; it decides how many may stay
 * unanswered
 * @WD_FAULT_OWNER_KERNEL: the kernel, at once unless memory does not come
 * @WD_FAULT_OWNER_SHARED: user space, which shares the device with others
 * @WD_FAULT_OWNER_EXCLUSIVE: user space, which has the whole device
 */
enum wd_fault_owner {
	WD_FAULT_OWNER_KERNEL,
	WD_FAULT_OWNER_SHARED,
	WD_FAULT_OWNER_EXCLUSIVE,
};

/* Why the layer has answered a group itself. */
enum wd_fault_count {
	WD_FAULT_REFUSED, /* its owner had too many, or there was no memory */
	WD_FAULT_EXPIRED, /* its owner took too long */
	WD_FAULT_COUNTS,
};

/**
 * struct wd_fault_group - a complete group, in the hands of a fault handler
 * @node: the handler's to use
 * @dev: the device
 * @data: the handler's data
 * @pasid: where it was registered
 * @grpid: group index
 * @device: the layer's, held; the members up to @count are the layer's, too
 * @handler: the handler that has it
 * @waiting: in wd_device.waiting
 * @mine: in wd_fault_handler.groups
 * @arrived: when (ktime_get_ns())
 * @over: 0, or why the device needs no answer any more
 * @count: number of @faults; the last one is last
 * @faults: the page requests in the order of their arrival
 */
struct wd_fault_group {
	struct list_head node;
	struct device *dev;
	void *data;
	ioasid_t pasid;
	u16 grpid;
	struct wd_device *device;
	struct wd_fault_handler *handler;
	struct list_head waiting;
	struct list_head mine;
	u64 arrived;
	int over;
	unsigned int count;
	struct wd_fault faults[];
};

/**
 * typedef wd_fault_handler_t - takes a group over
 * @group: to be given back with wd_iommu_fault_respond(), exactly once, now or later
 *
 * Called in the thread of the page request queue, with a mutex of the layer held; must not wait for
 * user space, nor call attach, bind, or (un)register of a handler.
 */
typedef void (*wd_fault_handler_t)(struct wd_fault_group *group);

/*
 * Page requests of incomplete groups that the layer keeps for a device: a further one makes it
 * forget the oldest (the device asks for that page again after its group is answered). For complete
 * groups see fault_group.c.
 */
#define WD_FAULT_MAX_PARTIAL 1024

/* --- for users of the layer; iommu/nesting.c and iommu/page_fault.c, all may sleep --- */
bool wd_iommu_can_nest(struct device *dev);
struct wd_pgtable *wd_iommu_pgtable_alloc(struct device *dev, struct iommu_domain *parent,
					  u32 flags, const struct wd_user_data *data);
void wd_iommu_pgtable_free(struct wd_pgtable *table);
int wd_iommu_bind_pgtable(struct iommu_domain *parent, struct device *dev,
			  struct wd_pgtable *table);
void wd_iommu_unbind_pgtable(struct iommu_domain *parent, struct device *dev,
			     struct wd_pgtable *table);
int wd_iommu_bind_pgtable_pasid(struct iommu_domain *parent, struct device *dev,
				struct wd_pgtable *table, ioasid_t pasid);
void wd_iommu_unbind_pgtable_pasid(struct iommu_domain *parent, struct device *dev,
				   struct wd_pgtable *table, ioasid_t pasid);
int wd_iommu_cache_invalidate(struct wd_pgtable *table, u32 type, const void *entries,
			      u32 entry_len, u32 count, u32 *done);
int wd_iommu_register_fault_handler(struct device *dev, ioasid_t pasid, enum wd_fault_owner owner,
				    wd_fault_handler_t handler, void *data);
void wd_iommu_change_fault_handler(struct device *dev, ioasid_t pasid, wd_fault_handler_t call,
				   void *data);
void wd_iommu_unregister_fault_handler(struct device *dev, ioasid_t pasid);
int wd_iommu_fault_respond(struct wd_fault_group *group, enum wd_fault_code code);

/*
 * --- for IOMMU drivers --- A page request has arrived: the layer always takes it, and answers it
 * if there is no handler for it. Then the result is false, and the driver enters the request in its
 * log of faults.
 */
bool wd_iommu_report_fault(struct device *dev, const struct wd_fault *fault);
/* Page requests of @dev may have been lost: the layer drops its incomplete groups. */
void wd_iommu_faults_lost(struct device *dev);
/* All page requests of @dev are answered, since it is going to forget them; it sends none now. */
void wd_iommu_faults_cancel(struct device *dev);
/* Groups of all devices of @iommu that the layer has answered itself, for that reason. */
u64 wd_iommu_fault_count(struct iommu_device *iommu, enum wd_fault_count count);

#endif /* _WD_IOMMU_NESTING_H */
