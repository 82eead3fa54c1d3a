/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User-managed I/O page tables, nested on a kernel-managed parent, and page faults: the second half
 * of the services that the proposal of July 2021 asks for (Documentation/design/nesting.rst).
 *
 * A user-managed table has a parent (a paging domain made with IOMMU_HWPT_ALLOC_NEST_PARENT) and
 * an address in the parent's address space. A bind at [device, PASID] attaches the parent, too. At
 * the requester id, a bind is an attachment of its own if the core has blocked the requester id; if
 * the core has attached the parent there, the bind makes this a nested attachment until the unbind.
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
 * @len: bytes that the user gave. If they are more than WD_USER_DATA_MAX, the rest is not in @data
 * @data: the first bytes, zero beyond @len
 */
struct wd_user_data {
	u32 type;
	u32 len;
	u8 data[WD_USER_DATA_MAX];
};

/**
 * struct wd_pgtable - a user-managed table; embedded in the driver's own structure
 * @parent: paging domain that it is nested on. The code that allocated the table keeps the parent
 * @ops: operations of its driver. The table holds the driver's module
 * @binds: number of places where it is bound; under wd_lock
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
/* No handler can serve the request: the driver refuses it, and so its whole group. */
#define WD_FAULT_BAD BIT(2)

/**
 * struct wd_fault - one page request
 * @addr: page address
 * @pasid: valid with WD_FAULT_PASID_VALID
 * @grpid: page request group index, chosen by the device
 * @perm: WD_FAULT_READ ...
 * @flags: WD_FAULT_PASID_VALID, WD_FAULT_LAST_PAGE, WD_FAULT_BAD
 */
struct wd_fault {
	u64 addr;
	u32 pasid;
	u16 grpid;
	u8 perm;
	u8 flags;
};

/**
 * struct wd_fault_request - a page request of a group
 * @node: in wd_fault_group.requests
 * @fault: the request
 */
struct wd_fault_request {
	struct list_head node;
	struct wd_fault fault;
};

enum wd_fault_code {
	WD_FAULT_SUCCESS, /* the page is there: the device tries its access again */
	WD_FAULT_INVALID, /* the device's access fails */
	WD_FAULT_FAILURE, /* the device sends no page requests any more */
};

/**
 * enum wd_fault_owner - party that answers page requests; it decides how many it may leave
 * unanswered
 * @WD_FAULT_OWNER_KERNEL: the kernel, which answers at once unless it has to wait for memory
 * @WD_FAULT_OWNER_SHARED: a program that shares the device with others
 * @WD_FAULT_OWNER_EXCLUSIVE: a program that has the whole device
 */
enum wd_fault_owner {
	WD_FAULT_OWNER_KERNEL,
	WD_FAULT_OWNER_SHARED,
	WD_FAULT_OWNER_EXCLUSIVE,
};

/* Why the layer has answered a group instead of its owner. */
enum wd_fault_count {
	WD_FAULT_REFUSED, /* its owner had too many */
	WD_FAULT_EXPIRED, /* its owner took too long */
	WD_FAULT_COUNTS,
};

/**
 * struct wd_fault_group - a complete group of page requests, as a handler receives it
 * @node: for the handler; when it receives the group this is an empty list
 * @source_node: for the handler; an empty list at first
 * @cookie: for the handler; 0 at first
 * @reader: for the handler; NULL at first
 * @dev: the device
 * @data: the data that was registered with the handler
 * @pasid: PASID where the handler was registered
 * @grpid: group index
 * @count: number of @requests
 * @requests: struct wd_fault_request in the order of their arrival
 * @device: held. Only the layer uses this and the members below
 * @handler: the handler that has the group
 * @waiting: in wd_device.waiting
 * @mine: in wd_fault_handler.groups
 * @of_user: in wd_fault_user.groups
 * @arrived: time of arrival (ktime_get_ns())
 * @over: 0, or the error for an answer that comes too late
 */
struct wd_fault_group {
	struct list_head node;
	struct list_head source_node;
	u32 cookie;
	const void *reader;
	struct device *dev;
	void *data;
	ioasid_t pasid;
	u16 grpid;
	unsigned int count;
	struct list_head requests;
	struct wd_device *device;
	struct wd_fault_handler *handler;
	struct list_head waiting;
	struct list_head mine;
	struct list_head of_user;
	u64 arrived;
	int over;
};

/**
 * typedef wd_fault_handler_t - take over a group
 * @group: the handler gives it back with wd_iommu_fault_respond(), exactly once, now or later
 *
 * Called in the thread of the page request queue, with a mutex of the layer held. A handler must
 * not wait for user space, and must not attach, bind, or register or unregister a handler.
 */
typedef void (*wd_fault_handler_t)(struct wd_fault_group *group);

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
 * --- for IOMMU drivers --- Give a page request to the layer, which answers it if there is no
 * handler for it, or its group has one with WD_FAULT_BAD. Then the result is false, and the driver
 * writes the request to its log of faults.
 */
bool wd_iommu_report_fault(struct device *dev, const struct wd_fault *fault);
/* Page requests of @dev may have been lost: the layer drops its incomplete groups. */
void wd_iommu_faults_lost(struct device *dev);
/* Answer all page requests of @dev, which is about to forget them and sends no more. */
void wd_iommu_faults_cancel(struct device *dev);
/* Number of groups that the layer has answered for this reason, of all devices of @iommu. */
u64 wd_iommu_fault_count(struct iommu_device *iommu, enum wd_fault_count count);

#endif /* _WD_IOMMU_NESTING_H */
