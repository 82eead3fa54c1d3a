// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared virtual addresses: bonds of [device, PASID] with the page table of a process.
 *
 * A bond has a table object of the driver, as a user-managed table has, but without a paging domain
 * as parent: it is bound on a static domain that stands for "the process", and so shown there.
 * Page faults go to a work item of the bond. One notifier for each mm tells its bonds what the mm
 * forgets, and when it ends.
 *
 * Locks, outer to inner:
 *	(locks of the bond's user)
 *	wd_sva.lock		bound or not, silent or not; over the layer's bind and unbind
 *	wd_device.lock ...	(layer.h)
 *	wd_sva_mm.lock		spinlock, the list of bonds; over the driver's flush
 *	wd_sva.fault_lock	spinlock, the list of groups
 * The end of an mm calls the user (mm_exit) with none of them held, so the user may hold its own
 * locks over bind and unbind. Unbind waits for the fault that is being handled, which takes the
 * mmap lock for reading: neither may be called under that.
 */
#include <linux/err.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "iommu_sva.h"
#include "layer.h"

/**
 * struct wd_sva_mm - an mm that has bonds
 * @notifier: holds the mm's structure
 * @lock: see the top of the file
 * @bonds: struct wd_sva
 */
struct wd_sva_mm {
	struct mmu_notifier notifier;
	spinlock_t lock;
	struct list_head bonds;
};

/**
 * struct wd_sva - a bond
 * @ref: the user's, and one while the end of the mm looks at it
 * @node: in wd_sva_mm.bonds
 * @space: the mm
 * @dev: device
 * @pasid: PASID
 * @table: of the driver
 * @ops: of the user
 * @data: for @ops
 * @faults: page faults are handled
 * @told: the user was told of the end of the mm; wd_sva_mm.lock
 * @lock: see the top of the file
 * @bound: the table is bound
 * @fault_lock: see the top of the file
 * @groups: struct wd_fault_group that wait
 * @work: handles them
 */
struct wd_sva {
	struct kref ref;
	struct list_head node;
	struct wd_sva_mm *space;
	struct device *dev;
	ioasid_t pasid;
	struct wd_pgtable *table;
	const struct wd_sva_ops *ops;
	void *data;
	bool faults;
	bool told;
	struct mutex lock;
	bool bound;
	spinlock_t fault_lock;
	struct list_head groups;
	struct work_struct work;
};

/* What every bond is attached to, as far as records go. */
static struct iommu_domain wd_sva_domain = {
	.type = WD_IOMMU_DOMAIN_MM,
};

static struct workqueue_struct *wd_sva_workqueue;

static void wd_sva_free(struct kref *ref)
{
	struct wd_sva *sva = container_of(ref, struct wd_sva, ref);

	sva->ops->release(sva->data);
	mutex_destroy(&sva->lock);
	kfree(sva);
}

static void wd_sva_put(struct wd_sva *sva)
{
	kref_put(&sva->ref, wd_sva_free);
}

/* --- faults --- */

static bool wd_sva_allowed(const struct vm_area_struct *vma, u8 perm)
{
	/* No supervisor requests, and nothing is ever executed. Device memory is no place for DMA.
	 */
	if (perm & ~(WD_FAULT_READ | WD_FAULT_WRITE) || !perm)
		return false;
	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return false;
	return (!(perm & WD_FAULT_READ) || vma->vm_flags & VM_READ) &&
	       (!(perm & WD_FAULT_WRITE) || vma->vm_flags & VM_WRITE);
}

/*
 * The process would get the page if it touched it: so does the device. Without FAULT_FLAG_USER,
 * since this is a thread of the kernel, and without retry: nobody waits here for user space that
 * handles faults itself.
 */
static bool wd_sva_page_in(struct mm_struct *mm, const struct wd_fault *fault)
{
	unsigned int flags = FAULT_FLAG_REMOTE;
	struct vm_area_struct *vma;
	bool done = false;

	if (fault->perm & WD_FAULT_WRITE)
		flags |= FAULT_FLAG_WRITE;
	mmap_read_lock(mm);
	vma = vma_lookup(mm, fault->addr);
	if (vma && wd_sva_allowed(vma, fault->perm))
		done = !(handle_mm_fault(vma, fault->addr, flags, NULL) & VM_FAULT_ERROR);
	mmap_read_unlock(mm);
	return done;
}

static enum wd_fault_code wd_sva_handle(struct mm_struct *mm, const struct wd_fault_group *group)
{
	enum wd_fault_code code = WD_FAULT_SUCCESS;
	unsigned int i;

	if (!mmget_not_zero(mm))
		return WD_FAULT_INVALID;
	for (i = 0; i < group->count && code == WD_FAULT_SUCCESS; i++) {
		if (!wd_sva_page_in(mm, &group->faults[i]))
			code = WD_FAULT_INVALID;
		cond_resched();
	}
	/* Not here: the end of the mm stops queues, and waits for this work. */
	mmput_async(mm);
	return code;
}

static struct wd_fault_group *wd_sva_next_group(struct wd_sva *sva)
{
	struct wd_fault_group *group;

	spin_lock(&sva->fault_lock);
	group = list_first_entry_or_null(&sva->groups, struct wd_fault_group, node);
	if (group)
		list_del_init(&group->node);
	spin_unlock(&sva->fault_lock);
	return group;
}

/* Groups that one run of the work handles, so that a flood of one process does not keep a thread.
 */
#define WD_SVA_GROUPS 64

static void wd_sva_work(struct work_struct *work)
{
	struct wd_sva *sva = container_of(work, struct wd_sva, work);
	struct wd_fault_group *group;
	unsigned int budget;

	for (budget = WD_SVA_GROUPS; budget; budget--) {
		group = wd_sva_next_group(sva);
		if (!group)
			return;
		wd_iommu_fault_respond(group, wd_sva_handle(sva->space->notifier.mm, group));
	}
	queue_work(wd_sva_workqueue, &sva->work);
}

static void wd_sva_fault(struct wd_fault_group *group)
{
	struct wd_sva *sva = group->data;

	spin_lock(&sva->fault_lock);
	list_add_tail(&group->node, &sva->groups);
	spin_unlock(&sva->fault_lock);
	queue_work(wd_sva_workqueue, &sva->work);
}

/* No handler is registered any more. */
static void wd_sva_refuse_groups(struct wd_sva *sva)
{
	struct wd_fault_group *group;

	cancel_work_sync(&sva->work);
	while ((group = wd_sva_next_group(sva)))
		wd_iommu_fault_respond(group, WD_FAULT_INVALID);
}

/* --- the mm --- */

static void wd_sva_invalidate(struct mmu_notifier *notifier, struct mm_struct *mm,
			      unsigned long start, unsigned long end)
{
	struct wd_sva_mm *space = container_of(notifier, struct wd_sva_mm, notifier);
	struct wd_sva *sva;
	unsigned long flags;

	spin_lock_irqsave(&space->lock, flags);
	list_for_each_entry (sva, &space->bonds, node)
		sva->table->ops->mm_table_flush(sva->table, start, end);
	spin_unlock_irqrestore(&space->lock, flags);
}

/* A bond whose user does not know of the end yet, with a reference. */
static struct wd_sva *wd_sva_tell_next(struct wd_sva_mm *space)
{
	struct wd_sva *sva, *found = NULL;

	spin_lock_irq(&space->lock);
	list_for_each_entry (sva, &space->bonds, node) {
		if (sva->told)
			continue;
		sva->told = true;
		kref_get(&sva->ref);
		found = sva;
		break;
	}
	spin_unlock_irq(&space->lock);
	return found;
}

/* The page tables go as soon as this returns. */
static void wd_sva_exit(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct wd_sva_mm *space = container_of(notifier, struct wd_sva_mm, notifier);
	struct wd_sva *sva;

	while ((sva = wd_sva_tell_next(space))) {
		sva->ops->mm_exit(sva->data);
		wd_iommu_sva_cut(sva);
		wd_sva_put(sva);
	}
}

static struct mmu_notifier *wd_sva_notifier_alloc(struct mm_struct *mm)
{
	struct wd_sva_mm *space = kzalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);

	if (!space)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&space->lock);
	INIT_LIST_HEAD(&space->bonds);
	return &space->notifier;
}

static void wd_sva_notifier_free(struct mmu_notifier *notifier)
{
	kfree(container_of(notifier, struct wd_sva_mm, notifier));
}

static const struct mmu_notifier_ops wd_sva_notifier_ops = {
	.release = wd_sva_exit,
	WD_MMU_NOTIFIER_FLUSH(wd_sva_invalidate),
	.alloc_notifier = wd_sva_notifier_alloc,
	.free_notifier = wd_sva_notifier_free,
};

/* --- bind and unbind --- */

static bool wd_sva_possible(const struct wd_iommu_ops *ops, struct device *dev, bool faults)
{
	return ops->mm_table_alloc && ops->mm_supported(dev, faults) &&
	       (!faults || ops->faults_enable);
}

/**
 * wd_iommu_sva_supported - can a device walk page tables of processes
 * @dev: device
 * @faults: with page faults
 *
 * Return: false also for an unclaimed device.
 */
bool wd_iommu_sva_supported(struct device *dev, bool faults)
{
	struct wd_device *device = wd_device_use(dev);
	bool possible;

	if (!device)
		return false;
	possible = wd_sva_possible(device->iommu->ops, dev, faults);
	wd_device_unuse(device);
	return possible;
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_supported);

static struct wd_pgtable *wd_sva_table(struct device *dev, struct mm_struct *mm, bool faults)
{
	struct wd_device *device = wd_device_use(dev);
	struct wd_pgtable *table = ERR_PTR(-EOPNOTSUPP);
	const struct wd_iommu_ops *ops;

	if (!device)
		return ERR_PTR(-ENODEV);
	ops = device->iommu->ops;
	if (!wd_sva_possible(ops, dev, faults))
		goto out;
	if (!try_module_get(ops->owner)) {
		table = ERR_PTR(-ENODEV);
		goto out;
	}
	table = ops->mm_table_alloc(dev, mm);
	if (IS_ERR(table)) {
		module_put(ops->owner);
		goto out;
	}
	table->parent = &wd_sva_domain;
	table->ops = ops;
	table->binds = 0;
out:
	wd_device_unuse(device);
	return table;
}

static struct wd_sva *wd_sva_alloc(struct device *dev, ioasid_t pasid, bool faults)
{
	struct wd_sva *sva = kzalloc(sizeof(*sva), GFP_KERNEL_ACCOUNT);

	if (!sva)
		return NULL;
	kref_init(&sva->ref);
	mutex_init(&sva->lock);
	spin_lock_init(&sva->fault_lock);
	INIT_LIST_HEAD(&sva->groups);
	INIT_WORK(&sva->work, wd_sva_work);
	sva->dev = dev;
	sva->pasid = pasid;
	sva->faults = faults;
	return sva;
}

/* From here on the bond hears of changes: before the device can have seen anything. */
static void wd_sva_join(struct wd_sva *sva)
{
	spin_lock_irq(&sva->space->lock);
	list_add_tail(&sva->node, &sva->space->bonds);
	spin_unlock_irq(&sva->space->lock);
}

static void wd_sva_leave(struct wd_sva *sva)
{
	spin_lock_irq(&sva->space->lock);
	list_del_init(&sva->node);
	spin_unlock_irq(&sva->space->lock);
}

/* Handler before entry, so that no request of the device finds none. */
static int wd_sva_install(struct wd_sva *sva)
{
	int ret = 0;

	if (sva->faults)
		ret = wd_iommu_register_fault_handler(sva->dev, sva->pasid, WD_FAULT_OWNER_KERNEL,
						      wd_sva_fault, sva);
	if (ret)
		return ret;
	ret = wd_iommu_bind_pgtable_pasid(&wd_sva_domain, sva->dev, sva->table, sva->pasid);
	if (!ret) {
		sva->bound = true;
		return 0;
	}
	if (sva->faults) {
		wd_iommu_unregister_fault_handler(sva->dev, sva->pasid);
		wd_sva_refuse_groups(sva);
	}
	return ret;
}

/**
 * wd_iommu_sva_bind - let [device, PASID] work in a process's address space
 * @dev: device
 * @mm: address space, which has users: usually that of the caller
 * @pasid: PASID, free
 * @faults: handle page faults; otherwise only what the process has in memory can be reached
 * @ops: what to tell the user of the bond
 * @data: for @ops; the bond's until it calls @ops->release
 *
 * Return: the bond; ERR_PTR of -ENODEV if @dev is not claimed, -EOPNOTSUPP if it or its IOMMU
 * cannot, -EINVAL for a PASID out of range, -EBUSY if (@dev, @pasid) is taken, -ENOSPC without
 * domain identifiers, -ENOMEM; then @data is the caller's still.
 */
struct wd_sva *wd_iommu_sva_bind(struct device *dev, struct mm_struct *mm, ioasid_t pasid,
				 bool faults, const struct wd_sva_ops *ops, void *data)
{
	struct wd_sva *sva = wd_sva_alloc(dev, pasid, faults);
	struct mmu_notifier *notifier;
	int ret;

	if (!sva)
		return ERR_PTR(-ENOMEM);
	sva->ops = ops;
	sva->data = data;
	sva->table = wd_sva_table(dev, mm, faults);
	if (IS_ERR(sva->table)) {
		ret = PTR_ERR(sva->table);
		goto err_free;
	}
	notifier = mmu_notifier_get(&wd_sva_notifier_ops, mm);
	if (IS_ERR(notifier)) {
		ret = PTR_ERR(notifier);
		goto err_table;
	}
	sva->space = container_of(notifier, struct wd_sva_mm, notifier);
	wd_sva_join(sva);
	ret = wd_sva_install(sva);
	if (!ret)
		return sva;
	wd_sva_leave(sva);
	mmu_notifier_put(notifier);
err_table:
	wd_iommu_pgtable_free(sva->table);
err_free:
	mutex_destroy(&sva->lock);
	kfree(sva);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_bind);

/**
 * wd_iommu_sva_cut - let a bond reach nothing any more
 * @sva: bond; it still has its PASID, whose requests fail without being recorded
 */
void wd_iommu_sva_cut(struct wd_sva *sva)
{
	struct wd_device *device;
	struct wd_record *record;

	mutex_lock(&sva->lock);
	device = sva->bound ? wd_device_use(sva->dev) : NULL;
	if (device) {
		record = xa_load(&device->pasids, sva->pasid);
		if (record && record->table == sva->table)
			sva->table->ops->mm_table_cut(sva->table, sva->dev, sva->pasid);
		wd_device_unuse(device);
	}
	mutex_unlock(&sva->lock);
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_cut);

/**
 * wd_iommu_sva_unbind - undo wd_iommu_sva_bind()
 * @sva: bond; its user sends nothing for it any more. May be called in mm_exit
 *
 * When it returns the PASID may be used anew: no request of it is on its way, every page request is
 * answered.
 */
void wd_iommu_sva_unbind(struct wd_sva *sva)
{
	mutex_lock(&sva->lock);
	wd_iommu_unbind_pgtable_pasid(&wd_sva_domain, sva->dev, sva->table, sva->pasid);
	sva->bound = false;
	mutex_unlock(&sva->lock);
	if (sva->faults) {
		wd_iommu_unregister_fault_handler(sva->dev, sva->pasid);
		wd_sva_refuse_groups(sva);
	}
	wd_sva_leave(sva);
	wd_iommu_pgtable_free(sva->table);
	mmu_notifier_put(&sva->space->notifier);
	wd_sva_put(sva);
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_unbind);

/* --- module --- */

int wd_iommu_sva_init(void)
{
	int ret;

	wd_sva_workqueue = alloc_workqueue("wd_sva", WQ_UNBOUND, 0);
	if (!wd_sva_workqueue)
		return -ENOMEM;
	ret = wd_iommu_domain_created(&wd_sva_domain);
	if (ret)
		destroy_workqueue(wd_sva_workqueue);
	return ret;
}

/* No bonds are left; the last notifiers may still be on their way out. */
void wd_iommu_sva_exit(void)
{
	wd_iommu_domain_released(&wd_sva_domain);
	mmu_notifier_synchronize();
	destroy_workqueue(wd_sva_workqueue);
}
