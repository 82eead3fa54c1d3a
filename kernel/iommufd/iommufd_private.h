/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The objects of a context and their life. Everything about IOVA and memory is in io_pagetable.h.
 *
 * Lock order, outermost first:
 *
 *	iommufd_access.lock
 *	iommufd_ctx.change_lock
 *	iommufd_ctx.groups_lock
 *	iommufd_group.lock
 *	iommufd_ioas.mutex
 *	iommufd_viommu.queues_lock
 *	iommufd_ioas.tables_lock
 *	lock of a dma-buf
 *	io_pagetable.domains_rwsem (of several IOAS only under change_lock, by ascending id)
 *	io_pagetable.iova_lock, or iopt_pages.mutex (never both)
 *	locks of the IOMMU layer, mmap_lock
 *	iommufd_fault.lock (the layer calls fault handlers with a lock held)
 *	iommufd_viommu.events_lock, iommufd_veventq.lock (spinlocks)
 *	xa_lock of iommufd_ioas.accesses (spinlock)
 *	xa_lock of iommufd_ctx.objects (spinlock)
 *
 * The removal of a driver takes most of these locks. So no code touches memory of a process while
 * it holds one: the page may never arrive (userfaultfd, a file system in user space).
 */
#ifndef _IOMMUFD_PRIVATE_H
#define _IOMMUFD_PRIVATE_H

#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "compat.h"
#include "io_pagetable.h"

struct file;
struct device;
struct iommufd_device;
struct iommufd_viommu;
struct wd_user_data;
struct wd_viommu;

enum iommufd_object_type {
	IOMMUFD_OBJ_ANY,
	IOMMUFD_OBJ_DEVICE,
	IOMMUFD_OBJ_IOAS,
	IOMMUFD_OBJ_HWPT_PAGING,
	IOMMUFD_OBJ_HWPT_NESTED,
	IOMMUFD_OBJ_FAULT,
	IOMMUFD_OBJ_ACCESS,
	IOMMUFD_OBJ_VIOMMU,
	IOMMUFD_OBJ_VDEVICE,
	IOMMUFD_OBJ_VEVENTQ,
	IOMMUFD_OBJ_HW_QUEUE,
	IOMMUFD_OBJ_HOOK,
	IOMMUFD_OBJ_TYPES,
};

/**
 * struct iommufd_object - first member of everything that has an id
 * @users: 1 + objects that depend on this one. Only a holder of the object may raise it
 * @wait_cnt: 1 + calls that touch the object right now. Raised under the xa_lock
 * @type: never changes
 * @id: index in iommufd_ctx.objects
 *
 * In each count the 1 stands for the object itself. IOMMU_DESTROY fails with EBUSY as long as
 * either count is above 1; a driver that removes its device waits for wait_cnt instead.
 */
struct iommufd_object {
	refcount_t users;
	refcount_t wait_cnt;
	enum iommufd_object_type type;
	u32 id;
};

struct iommufd_ctx;

/**
 * struct iommufd_object_ops - operations of a type of object
 * @destroy: release what an unused object holds; the caller frees the object itself
 */
struct iommufd_object_ops {
	void (*destroy)(struct iommufd_ctx *ictx, struct iommufd_object *obj);
};

/**
 * struct iommufd_ctx - one open of /dev/iommu
 * @file: the open file. Drivers hold the context by holding the file
 * @object_ops: by type
 * @objects: id to object. An id is reserved before its object is visible
 * @groups_lock: for @groups and the reference counts of its entries
 * @groups: iommu_group id to iommufd_group, the groups owned by this context
 * @destroy_wait: woken when the wait_cnt of a removed object reaches 0
 * @vfio_ioas: not held; the IOAS clears it when it is destroyed. Under the xa_lock of @objects
 * @account_mode: for later mappings, under the xa_lock of @objects
 * @account: of the process that mapped last, held, or NULL; under the xa_lock of @objects
 * @change_lock: held during IOMMU_IOAS_CHANGE_PROCESS, for the lists of it. A process may hold it
 *	for ever, so nobody else takes it
 */
struct iommufd_ctx {
	struct file *file;
	const struct iommufd_object_ops *object_ops;
	struct xarray objects;
	struct mutex groups_lock;
	struct xarray groups;
	wait_queue_head_t destroy_wait;
	struct iommufd_ioas *vfio_ioas;
	enum iopt_account_mode account_mode;
	struct iopt_account *account;
	struct mutex change_lock;
};

/**
 * struct iommufd_ucmd - a command being executed
 * @ictx: context
 * @ubuffer: the caller's structure
 * @user_size: its size, >= the command's minimum
 * @cmd: kernel copy, unknown fields zero
 * @new_obj: object made by the handler. The dispatcher publishes it if the handler succeeds and
 *	destroys it otherwise
 */
struct iommufd_ucmd {
	struct iommufd_ctx *ictx;
	void __user *ubuffer;
	u32 user_size;
	void *cmd;
	struct iommufd_object *new_obj;
};

/* Copy the structure back to the caller, up to the size that the caller has given. */
static inline int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd, size_t cmd_len)
{
	unsigned long left;

	/*
	 * A constant size: the compiler checks the bounds, and the copy needs no check at run time.
	 */
	if (likely(ucmd->user_size >= cmd_len))
		left = copy_to_user(ucmd->ubuffer, ucmd->cmd, cmd_len);
	else
		left = copy_to_user(ucmd->ubuffer, ucmd->cmd, ucmd->user_size);
	return left ? -EFAULT : 0;
}

/* --- object.c --- */
struct iommufd_object *__iommufd_object_alloc(struct iommufd_ctx *ictx, size_t size,
					      enum iommufd_object_type type);
/* @obj is the struct iommufd_object in *@ptr; it must be the first member. */
#define iommufd_object_alloc(ictx, ptr, obj, type)                                              \
	container_of(__iommufd_object_alloc(                                                    \
			     ictx,                                                              \
			     sizeof(*(ptr)) + BUILD_BUG_ON_ZERO(offsetof(typeof(*(ptr)), obj)), \
			     type),                                                             \
		     typeof(*(ptr)), obj)
void iommufd_object_finalize(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void __iommufd_object_finalize(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_object_abort_and_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);
struct iommufd_object *iommufd_get_object(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type);
bool iommufd_hold_object(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_put_object(struct iommufd_ctx *ictx, struct iommufd_object *obj);
int iommufd_object_destroy(struct iommufd_ctx *ictx, u32 id);
void iommufd_object_remove(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_object_bury(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_object_put_last_user(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_destroy_all(struct iommufd_ctx *ictx);

static inline void iommufd_object_use(struct iommufd_object *obj)
{
	refcount_inc(&obj->users);
}

/* For objects that stay without users: their count never falls below 1. */
static inline void iommufd_object_unuse(struct iommufd_object *obj)
{
	WARN_ON(refcount_dec_and_test(&obj->users));
}

/**
 * struct iommufd_ioas - I/O address space
 * @obj: first member
 * @iopt: its mappings
 * @mutex: for @hwpt_list, and held while a device looks for an automatic HWPT
 * @hwpt_list: automatic iommufd_hwpt_paging on this IOAS, in order of creation
 * @tables_lock: for @tables and the counts of its entries; held while iommufd asks the layer
 *	whether a table suits a device
 * @tables: each iommufd_table that follows this IOAS, the newest first
 * @change_item: in a list of IOMMU_IOAS_CHANGE_PROCESS, under iommufd_ctx.change_lock
 * @accesses: struct iommufd_access of drivers that use it, by number
 */
struct iommufd_ioas {
	struct iommufd_object obj;
	struct io_pagetable iopt;
	struct mutex mutex;
	struct list_head hwpt_list;
	struct mutex tables_lock;
	struct list_head tables;
	struct list_head change_item;
	struct xarray accesses;
};

static inline struct iommufd_ioas *iommufd_get_ioas(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj = iommufd_get_object(ictx, id, IOMMUFD_OBJ_IOAS);

	return IS_ERR(obj) ? ERR_CAST(obj) : container_of(obj, struct iommufd_ioas, obj);
}

/* --- ioas.c --- */
struct iommufd_ioas *iommufd_ioas_alloc(struct iommufd_ctx *ictx);
int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd);
int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd);
int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd);
void iommufd_ioas_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);
int iommufd_ioas_prot(u32 flags);
int iommufd_map_user(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
		     const struct iommu_ioas_map *cmd, unsigned long *iova);
struct iommu_iova_range *iommufd_get_ranges(struct io_pagetable *iopt, u32 capacity, u32 *count,
					    u64 *alignment);

struct iopt_account *iommufd_account_get(struct iommufd_ctx *ictx);

/* --- access.c --- */
void iommufd_access_unmap_pins(struct io_pagetable *iopt, unsigned long start, unsigned long last);
void iommufd_access_release(struct iommufd_ctx *ictx, struct iommufd_object *obj);

/* --- hook.c --- */
long iommufd_hook_command(struct iommufd_ctx *ictx, unsigned long arg);
void iommufd_hook_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);

/* --- change_process.c --- */
int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd);

/* --- noiommu.c --- */
bool iommufd_domain_is_noiommu(const struct iommu_domain *domain);
struct iommu_domain *iommufd_noiommu_domain_alloc(void);
int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd);

/* --- copy.c --- */
int iommufd_ioas_copy(struct iommufd_ucmd *ucmd);

/* --- vfio_compat.c --- */
long iommufd_vfio_compat_ioctl(struct iommufd_ctx *ictx, unsigned int request, unsigned long arg);

/* --- option.c --- */
int iommufd_option(struct iommufd_ucmd *ucmd);
int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd);

/**
 * struct iommufd_table - page table in the IOMMU layer, used by one HWPT of an IOAS or by several
 * @item: in iommufd_ioas.tables, when @filled
 * @domain: the page table
 * @link: its place among the tables of the IOAS
 * @users: number of HWPTs that use it, under iommufd_ioas.tables_lock
 * @filled: @link is in the IOAS
 * @coherent: the IOMMU makes no-snoop requests coherent
 */
struct iommufd_table {
	struct list_head item;
	struct iommu_domain *domain;
	struct iopt_domain link;
	unsigned int users;
	bool filled;
	bool coherent;
};

/* --- shared_table.c --- */
struct iommufd_table *iommufd_table_get(struct iommufd_ioas *ioas, struct iommufd_device *idev,
					u32 flags, const struct wd_user_data *data);
int iommufd_table_fill(struct iommufd_ioas *ioas, struct iommufd_table *table);
void iommufd_table_put(struct iommufd_ioas *ioas, struct iommufd_table *table);

struct iommufd_fault;

/**
 * struct iommufd_hwpt - first member of the two kinds of hardware page table, which can be attached
 * @obj: first member; one user for each attached device and PASID
 * @fault: the queue that receives its page faults, held; NULL: it takes none
 * @pasid_compat: made with IOMMU_HWPT_ALLOC_PASID
 */
struct iommufd_hwpt {
	struct iommufd_object obj;
	struct iommufd_fault *fault;
	bool pasid_compat;
};

/**
 * struct iommufd_hwpt_paging - I/O page table that follows an IOAS
 * @common: first member
 * @ioas: held
 * @table: its page table in the IOMMU layer
 * @domain: of @table
 * @hwpt_item: in iommufd_ioas.hwpt_list, if @auto_domain
 * @auto_domain: made by an attach to the IOAS, destroyed with its last user
 * @nest_parent: made with IOMMU_HWPT_ALLOC_NEST_PARENT
 * @dirty_tracking: made with IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 * @populated: @table is filled
 */
struct iommufd_hwpt_paging {
	struct iommufd_hwpt common;
	struct iommufd_ioas *ioas;
	struct iommufd_table *table;
	struct iommu_domain *domain;
	struct list_head hwpt_item;
	bool auto_domain : 1;
	bool nest_parent : 1;
	bool dirty_tracking : 1;
	bool populated : 1;
};

/**
 * struct iommufd_hwpt_nested - I/O page table that user space writes
 * @common: first member
 * @parent: page table that translates the addresses in this one, held
 * @viommu: its virtual IOMMU, held; or NULL
 * @table: in the IOMMU layer
 */
struct iommufd_hwpt_nested {
	struct iommufd_hwpt common;
	struct iommufd_hwpt_paging *parent;
	struct iommufd_viommu *viommu;
	struct wd_pgtable *table;
};

/**
 * struct iommufd_viommu - virtual IOMMU
 * @obj: first member; one user for each virtual device, table, queue and mapping of its region
 * @ictx: context
 * @parent: nesting parent, held
 * @viommu: in the IOMMU layer
 * @events_lock: for @event_queues. Drivers take it in any context
 * @event_queues: struct iommufd_veventq
 * @queues_lock: for @queues; held while the driver starts or stops one
 * @queues: struct iommufd_hw_queue by number
 */
struct iommufd_viommu {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommufd_hwpt_paging *parent;
	struct wd_viommu *viommu;
	spinlock_t events_lock;
	struct list_head event_queues;
	struct mutex queues_lock;
	struct xarray queues;
};

/**
 * struct iommufd_vdevice - a device as its virtual machine knows it
 * @obj: first member
 * @viommu: virtual IOMMU, held
 * @idev: the device, which waits for the end of this before it goes
 * @virt_id: its id in the virtual machine
 */
struct iommufd_vdevice {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;
	unsigned long virt_id;
};

/* --- viommu.c --- */
int iommufd_viommu_alloc_ioctl(struct iommufd_ucmd *ucmd);
void iommufd_viommu_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);
int iommufd_vdevice_alloc_ioctl(struct iommufd_ucmd *ucmd);
void iommufd_vdevice_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_vdevice_leave(struct iommufd_device *idev);
int iommufd_fops_mmap(struct file *filp, struct vm_area_struct *vma);

/* --- veventq.c --- */
int iommufd_veventq_alloc_ioctl(struct iommufd_ucmd *ucmd);
void iommufd_veventq_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);
int iommufd_veventq_report(void *data, u32 type, const void *event, size_t length);

/* --- hw_queue.c --- */
int iommufd_hw_queue_alloc_ioctl(struct iommufd_ucmd *ucmd);
void iommufd_hw_queue_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);

/* Return: NULL if @hwpt is not nested. */
static inline struct iommufd_hwpt_nested *iommufd_hwpt_to_nested(struct iommufd_hwpt *hwpt)
{
	if (hwpt->obj.type != IOMMUFD_OBJ_HWPT_NESTED)
		return NULL;
	return container_of(hwpt, struct iommufd_hwpt_nested, common);
}

/* The table that follows an IOAS: @hwpt itself, or its parent. */
static inline struct iommufd_hwpt_paging *iommufd_hwpt_to_paging(struct iommufd_hwpt *hwpt)
{
	struct iommufd_hwpt_nested *nested = iommufd_hwpt_to_nested(hwpt);

	return nested ? nested->parent : container_of(hwpt, struct iommufd_hwpt_paging, common);
}

/* --- hwpt.c --- */
int iommufd_hwpt_alloc(struct iommufd_ucmd *ucmd);
struct iommufd_hwpt_paging *iommufd_hwpt_create(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
						struct iommufd_device *idev, u32 flags,
						const struct wd_user_data *data, bool auto_domain);
int iommufd_hwpt_populate(struct iommufd_hwpt_paging *hwpt);
void iommufd_hwpt_paging_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_hwpt_put_user(struct iommufd_ctx *ictx, struct iommufd_hwpt *hwpt);

/* --- hwpt_nested.c --- */
int iommufd_copy_user_data(struct wd_user_data *data, u32 type, u64 uptr, u32 len);
int iommufd_hwpt_alloc_nested(struct iommufd_ucmd *ucmd, struct iommufd_hwpt_paging *parent,
			      struct iommufd_viommu *viommu, struct iommufd_object *dev_obj);
void iommufd_hwpt_nested_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);

/* --- dirty.c --- */
int iommufd_hwpt_set_dirty_tracking(struct iommufd_ucmd *ucmd);
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_ucmd *ucmd);

/* --- invalidate.c --- */
int iommufd_hwpt_invalidate(struct iommufd_ucmd *ucmd);

struct iommufd_device;

/**
 * struct iommufd_fault - fault queue
 * @obj: first member; one user for the open file, one for each HWPT made with the queue
 * @ictx: context, held by the file
 * @lock: for everything below. The thread that serves all page requests of an IOMMU takes it, so no
 *	code allocates under it
 * @queued: groups that nobody has read yet, by wd_fault_group.node
 * @delivered: cookie to wd_fault_group, for groups that were read and not answered yet
 * @wait: woken when a group is queued
 */
struct iommufd_fault {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	spinlock_t lock;
	struct list_head queued;
	struct xarray delivered;
	wait_queue_head_t wait;
};

/**
 * struct iommufd_fault_source - a PASID or requester id of a device that sends page faults
 * @fault: the queue that receives them, held; NULL: the kernel refuses them
 * @dev_id: id of the device object, reported to user space
 * @groups: groups without an answer, by wd_fault_group.source_node; under @fault->lock
 * @before: the source which this one has replaced, while that still has groups without an answer;
 *	or NULL. The sources form a list, the newest first
 */
struct iommufd_fault_source {
	struct iommufd_fault *fault;
	u32 dev_id;
	struct list_head groups;
	struct iommufd_fault_source *before;
};

struct iommufd_device;

/* --- fault_queue.c --- */
int iommufd_fault_queue_alloc(struct iommufd_ucmd *ucmd);
void iommufd_fault_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);
void iommufd_fault_refuse(struct iommufd_fault_source *source);
struct iommufd_fault_source *iommufd_fault_start(struct iommufd_fault *fault,
						 struct iommufd_device *idev, u32 pasid);
struct iommufd_fault_source *iommufd_fault_prepare(struct iommufd_fault *fault,
						   struct iommufd_device *idev, u32 pasid,
						   struct iommufd_fault_source *instead);
void iommufd_fault_pause(struct iommufd_fault_source *to, struct device *dev, u32 pasid);
void iommufd_fault_move(struct iommufd_fault_source *from, struct iommufd_fault_source *to,
			struct device *dev, u32 pasid);
void iommufd_fault_free(struct iommufd_fault_source *source);
void iommufd_fault_stop(struct iommufd_fault_source *source, struct device *dev, u32 pasid);

/**
 * struct iommufd_group - devices of an IOMMU group, which are attached together
 * @ref: one for each device
 * @ictx: context
 * @group: IOMMU group, held; NULL: the device has no IOMMU
 * @lock: for @attaches and everything below
 * @attaches: PASID (0: the requester id) to iommufd_attach
 * @nr_pasids: entries of @attaches that are PASIDs
 * @shared: made by a shared bind
 *
 * All exclusive binds to an IOMMU group use one iommufd_group, in iommufd_ctx.groups; the context
 * then owns the DMA of the group. Each shared bind has an iommufd_group of its own: contexts share
 * the device by PASID, and the IOMMU layer refuses a PASID that another bind uses. So has each device
 * without an IOMMU.
 */
struct iommufd_group {
	struct kref ref;
	struct iommufd_ctx *ictx;
	struct iommu_group *group;
	struct mutex lock;
	struct xarray attaches;
	unsigned int nr_pasids;
	bool shared;
};

/*
 * iommufd's record of an attachment: this HWPT is in use at this PASID. Under iommufd_group.lock.
 */
struct iommufd_attach {
	struct iommufd_hwpt *hwpt;
	struct list_head links;
	u32 pasid;
};

/*
 * A device that takes part in an attachment. At the requester id, the link also is the owner of the
 * device's reserved regions in the IOAS. If @faults is NULL, its page requests have no handler.
 */
struct iommufd_attach_link {
	struct list_head item;
	struct iommufd_attach *attach;
	struct iommufd_device *idev;
	struct iommufd_fault_source *faults;
};

/**
 * struct iommufd_device - a bound device
 * @obj: first member; one user for the driver that bound it
 * @ictx: its context
 * @holds_ctx: it holds @ictx until unbind
 * @dev: held until unbind
 * @igroup: see struct iommufd_group
 * @vdev: its virtual device, or NULL; under the xa_lock of iommufd_ctx.objects, and set under
 *	iommufd_group.lock too
 * @going: it is being unbound, and gets no virtual device any more; under iommufd_group.lock
 * @links: PASID to iommufd_attach_link, under iommufd_group.lock
 */
struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	bool holds_ctx;
	struct device *dev;
	struct iommufd_group *igroup;
	struct iommufd_vdevice *vdev;
	bool going;
	struct xarray links;
};

static inline bool iommufd_device_is_noiommu(const struct iommufd_device *idev)
{
	return !idev->igroup->group;
}

/* --- hw_attach.c --- */
int iommufd_hw_attach(struct iommufd_attach_link *link, u32 pasid, struct iommufd_hwpt *hwpt,
		      bool first);
void iommufd_hw_detach(struct iommufd_attach_link *link, u32 pasid, struct iommufd_hwpt *hwpt,
		       bool last);
int iommufd_hw_replace(struct iommufd_attach *attach, struct iommufd_hwpt *hwpt);

/* --- device.c --- */
int iommufd_get_hw_info(struct iommufd_ucmd *ucmd);
void iommufd_device_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj);

#endif /* _IOMMUFD_PRIVATE_H */
