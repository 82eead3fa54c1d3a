// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared virtual addresses: bonds of [device, PASID] with the page table of a process.
 *
 * A bond has a table object of the driver, like a user-managed table. It has no paging domain as
 * parent, so the records and sysfs name a static domain instead, of type "sva". The object has a
 * top-level table of its own. The driver copies entries of the process's top-level table there:
 * when the bond is made, on page faults (sva_fault.c), and in wd_iommu_sva_filled(). One notifier
 * for each mm tells its bonds of pages that leave the mm, and of its end.
 *
 * Locks, outer to inner:
 *	(locks of the bond's user)
 *	wd_sva.lock		bound or not, cut or not; held while the layer binds and unbinds
 *	wd_device.lock ...	(iommu_layer.h)
 *	wd_sva_mms_lock		spinlock, the list of mms
 *	wd_sva_mm.lock		spinlock, the list of bonds; held while the driver fills or flushes
 *				one bond
 * At the end of an mm, the layer calls mm_exit of the user and holds none of these locks. So the
 * user may hold its own locks while it binds and unbinds. Bind and unbind wait for nothing of the
 * process: not for a page, and not for the mmap lock, which only wd_iommu_sva_mm_get() takes.
 */
#include <linux/err.h>
#include <linux/kref.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "compat.h"
#include "iommu_sva.h"
#include "sva.h"

/**
 * struct wd_sva_mm - an mm that has bonds, or will have one
 * @notifier: tells of changes of the mm, and holds its structure
 * @ref: one for @notifier, and one while wd_iommu_sva_filled() uses the structure
 * @node: in wd_sva_mms
 * @mm: the mm
 * @lock: see the top of the file
 * @bonds: struct wd_sva_place
 */
struct wd_sva_mm {
	struct mmu_notifier notifier;
	struct kref ref;
	struct list_head node;
	struct mm_struct *mm;
	spinlock_t lock;
	struct list_head bonds;
};

/**
 * struct wd_sva_place - a place in the list of bonds
 * @node: in wd_sva_mm.bonds
 * @sva: the bond; NULL: a walk has come so far
 */
struct wd_sva_place {
	struct list_head node;
	struct wd_sva *sva;
};

/**
 * struct wd_sva - a bond
 * @ref: one for the user, and one while wd_sva_exit() uses the bond
 * @place: in wd_sva_mm.bonds
 * @space: the mm; the bond holds a reference to its notifier
 * @dev: device
 * @pasid: PASID
 * @table: table object of the driver
 * @ops: callbacks of the user
 * @data: for @ops
 * @pager: handles page faults; NULL if the bond has none
 * @lock: see the top of the file
 * @bound: the table is bound
 */
struct wd_sva {
	struct kref ref;
	struct wd_sva_place place;
	struct wd_sva_mm *space;
	struct device *dev;
	ioasid_t pasid;
	struct wd_pgtable *table;
	const struct wd_sva_ops *ops;
	void *data;
	struct wd_sva_pager *pager;
	struct mutex lock;
	bool bound;
};

/* The domain in the records of all bonds. */
static struct iommu_domain wd_sva_domain = {
	.type = WD_IOMMU_DOMAIN_MM,
};

static LIST_HEAD(wd_sva_mms);
static DEFINE_SPINLOCK(wd_sva_mms_lock);

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

/* --- the mm --- */

/*
 * Move the mark of a walk after the next bond, and return that bond; NULL at the end of the list. A
 * walk drops the lock after each bond, since a process may have many. Bonds that join meanwhile are
 * at the tail, so the walk finds them.
 */
static struct wd_sva *wd_sva_step(struct wd_sva_mm *space, struct wd_sva_place *mark)
{
	struct wd_sva_place *next = mark;

	lockdep_assert_held(&space->lock);
	list_for_each_entry_continue (next, &space->bonds, node) {
		if (!next->sva)
			continue;
		list_move(&mark->node, &next->node);
		return next->sva;
	}
	return NULL;
}

/* Call an operation of the driver for the table of each bond. Let interrupts in between. */
static void wd_sva_for_each(struct wd_sva_mm *space,
			    void (*operation)(struct wd_pgtable *table, unsigned long start,
					      unsigned long end),
			    unsigned long start, unsigned long end)
{
	struct wd_sva_place mark = {};
	struct wd_sva *sva;
	unsigned long flags;

	spin_lock_irqsave(&space->lock, flags);
	list_add(&mark.node, &space->bonds);
	while ((sva = wd_sva_step(space, &mark))) {
		operation(sva->table, start, end);
		spin_unlock_irqrestore(&space->lock, flags);
		spin_lock_irqsave(&space->lock, flags);
	}
	list_del(&mark.node);
	spin_unlock_irqrestore(&space->lock, flags);
}

static void wd_sva_flush(struct wd_pgtable *table, unsigned long start, unsigned long end)
{
	table->ops->mm_table_flush(table, start, end);
}

static void wd_sva_fill(struct wd_pgtable *table, unsigned long start, unsigned long end)
{
	table->ops->mm_table_fill(table, start, end);
}

static void wd_sva_invalidate(struct mmu_notifier *notifier, struct mm_struct *mm,
			      unsigned long start, unsigned long end)
{
	struct wd_sva_mm *space = container_of(notifier, struct wd_sva_mm, notifier);

	wd_sva_for_each(space, wd_sva_flush, start, end);
}

/* Linux frees the page tables as soon as this returns. */
static void wd_sva_exit(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct wd_sva_mm *space = container_of(notifier, struct wd_sva_mm, notifier);
	struct wd_sva_place mark = {};
	struct wd_sva *sva;

	spin_lock_irq(&space->lock);
	list_add(&mark.node, &space->bonds);
	while ((sva = wd_sva_step(space, &mark))) {
		kref_get(&sva->ref);
		spin_unlock_irq(&space->lock);
		sva->ops->mm_exit(sva->data);
		wd_iommu_sva_cut(sva);
		wd_sva_put(sva);
		spin_lock_irq(&space->lock);
	}
	list_del(&mark.node);
	spin_unlock_irq(&space->lock);
}

static struct mmu_notifier *wd_sva_notifier_alloc(struct mm_struct *mm)
{
	struct wd_sva_mm *space = kzalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);
	unsigned long flags;

	if (!space)
		return ERR_PTR(-ENOMEM);
	space->mm = mm;
	kref_init(&space->ref);
	spin_lock_init(&space->lock);
	INIT_LIST_HEAD(&space->bonds);
	spin_lock_irqsave(&wd_sva_mms_lock, flags);
	list_add(&space->node, &wd_sva_mms);
	spin_unlock_irqrestore(&wd_sva_mms_lock, flags);
	return &space->notifier;
}

static void wd_sva_mm_free(struct kref *ref)
{
	kfree(container_of(ref, struct wd_sva_mm, ref));
}

static void wd_sva_notifier_free(struct mmu_notifier *notifier)
{
	struct wd_sva_mm *space = container_of(notifier, struct wd_sva_mm, notifier);
	unsigned long flags;

	spin_lock_irqsave(&wd_sva_mms_lock, flags);
	list_del(&space->node);
	spin_unlock_irqrestore(&wd_sva_mms_lock, flags);
	kref_put(&space->ref, wd_sva_mm_free);
}

static const struct mmu_notifier_ops wd_sva_notifier_ops = {
	.release = wd_sva_exit,
	WD_MMU_NOTIFIER_FLUSH(wd_sva_invalidate),
	.alloc_notifier = wd_sva_notifier_alloc,
	.free_notifier = wd_sva_notifier_free,
};

/**
 * wd_iommu_sva_mm_get - prepare an address space for bonds
 * @mm: address space, usually that of the caller; its mm_users is not 0
 *
 * This waits for the mmap lock, which a process can hold for ever. So the caller must hold no lock
 * that others need.
 *
 * Return: the argument of wd_iommu_sva_bind(); ERR_PTR of -ENOMEM, -EINTR if the caller is being
 * killed.
 */
struct wd_sva_mm *wd_iommu_sva_mm_get(struct mm_struct *mm)
{
	struct mmu_notifier *notifier;

	if (mmap_write_lock_killable(mm))
		return ERR_PTR(-EINTR);
	notifier = mmu_notifier_get_locked(&wd_sva_notifier_ops, mm);
	mmap_write_unlock(mm);
	return IS_ERR(notifier) ? ERR_CAST(notifier)
				: container_of(notifier, struct wd_sva_mm, notifier);
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_mm_get);

/**
 * wd_iommu_sva_mm_put - undo wd_iommu_sva_mm_get()
 * @space: address space that no bond has taken over; may be NULL
 */
void wd_iommu_sva_mm_put(struct wd_sva_mm *space)
{
	if (space)
		mmu_notifier_put(&space->notifier);
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_mm_put);

/*
 * Find the structure of @mm, and take a reference to it. An earlier one of the same mm may still be
 * in the list until Linux frees it; it has no bonds any more, and the newest one comes first.
 */
static struct wd_sva_mm *wd_sva_mm_find(struct mm_struct *mm)
{
	struct wd_sva_mm *space, *found = NULL;
	unsigned long flags;

	spin_lock_irqsave(&wd_sva_mms_lock, flags);
	list_for_each_entry (space, &wd_sva_mms, node) {
		if (space->mm != mm)
			continue;
		kref_get(&space->ref);
		found = space;
		break;
	}
	spin_unlock_irqrestore(&wd_sva_mms_lock, flags);
	return found;
}

/**
 * wd_iommu_sva_filled - let bonds see page tables that an address space has got since
 * @mm: address space; its mm_users is not 0
 * @start: first address
 * @end: first address after the range
 *
 * For bonds without page faults: no page request tells the layer that a table is missing.
 */
void wd_iommu_sva_filled(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct wd_sva_mm *space = wd_sva_mm_find(mm);

	if (!space)
		return;
	wd_sva_for_each(space, wd_sva_fill, start, end);
	kref_put(&space->ref, wd_sva_mm_free);
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_filled);

/* --- bind and unbind --- */

static bool wd_sva_possible(const struct wd_iommu_ops *ops, struct device *dev, bool faults)
{
	return ops->mm_table_alloc && ops->mm_supported(dev, faults) &&
	       (!faults || ops->faults_enable);
}

/**
 * wd_iommu_sva_supported - can a device walk page tables of processes?
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

static struct wd_sva *wd_sva_alloc(struct device *dev, struct wd_sva_mm *space, ioasid_t pasid)
{
	struct wd_sva *sva = kzalloc(sizeof(*sva), GFP_KERNEL_ACCOUNT);

	if (!sva)
		return NULL;
	kref_init(&sva->ref);
	mutex_init(&sva->lock);
	sva->dev = dev;
	sva->place.sva = sva;
	sva->space = space;
	sva->pasid = pasid;
	return sva;
}

/*
 * From now on the notifier tells the bond of changes of the mm. It must do so before the bond's
 * table has its first entry, since an entry must go when the mm's table goes.
 */
static void wd_sva_join(struct wd_sva *sva)
{
	spin_lock_irq(&sva->space->lock);
	list_add_tail(&sva->place.node, &sva->space->bonds);
	sva->table->ops->mm_table_fill(sva->table, 0, ULONG_MAX);
	spin_unlock_irq(&sva->space->lock);
}

static void wd_sva_leave(struct wd_sva *sva)
{
	spin_lock_irq(&sva->space->lock);
	list_del_init(&sva->place.node);
	spin_unlock_irq(&sva->space->lock);
}

/*
 * The table is not bound any more: answer every page request, and let no more arrive. The first
 * close comes before the handler goes: if it is the last one, the driver switches page requests
 * off, and then the device takes no answers. The second close answers groups that arrived in
 * between.
 */
static void wd_sva_end_faults(struct wd_sva *sva)
{
	if (!sva->pager)
		return;
	wd_sva_pager_close(sva->pager);
	wd_iommu_unregister_fault_handler(sva->dev, sva->pasid);
	wd_sva_pager_close(sva->pager);
}

/* The handler comes before the entry, so that every page request finds a handler. */
static int wd_sva_install(struct wd_sva *sva)
{
	int ret = 0;

	if (sva->pager)
		ret = wd_fault_register(sva->dev, sva->pasid, WD_FAULT_OWNER_KERNEL,
					wd_sva_pager_fault, wd_sva_pager_take_back, sva->pager);
	if (ret)
		return ret;
	ret = wd_iommu_bind_pgtable_pasid(&wd_sva_domain, sva->dev, sva->table, sva->pasid);
	if (ret)
		wd_sva_end_faults(sva);
	else
		sva->bound = true;
	return ret;
}

/**
 * wd_iommu_sva_bind - let [device, PASID] work in a process's address space
 * @dev: device
 * @space: from wd_iommu_sva_mm_get(). On success the bond takes it over
 * @pasid: PASID, free
 * @faults: handle page faults; without this the device reaches only pages that are in memory
 * @ops: callbacks to the user of the bond
 * @data: for @ops. On success it must stay until @ops->release is called
 *
 * Return: the bond; ERR_PTR of -ENODEV if @dev is not claimed, -EOPNOTSUPP if the device or its
 * IOMMU cannot do this, -EINVAL for a PASID out of range, -EBUSY if (@dev, @pasid) is taken,
 * -ENOSPC without domain identifiers, -ENOMEM. After an error the caller still has @space and
 * @data.
 */
struct wd_sva *wd_iommu_sva_bind(struct device *dev, struct wd_sva_mm *space, ioasid_t pasid,
				 bool faults, const struct wd_sva_ops *ops, void *data)
{
	struct wd_sva *sva = wd_sva_alloc(dev, space, pasid);
	int ret;

	if (!sva)
		return ERR_PTR(-ENOMEM);
	sva->ops = ops;
	sva->data = data;
	sva->table = wd_sva_table(dev, space->mm, faults);
	if (IS_ERR(sva->table)) {
		ret = PTR_ERR(sva->table);
		goto err_free;
	}
	if (faults) {
		sva->pager = wd_sva_pager_alloc(space->mm, sva->table);
		if (!sva->pager) {
			ret = -ENOMEM;
			goto err_table;
		}
	}
	wd_sva_join(sva);
	ret = wd_sva_install(sva);
	if (!ret)
		return sva;
	wd_sva_leave(sva);
	wd_sva_pager_free(sva->pager);
err_table:
	wd_iommu_pgtable_free(sva->table);
err_free:
	mutex_destroy(&sva->lock);
	kfree(sva);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_bind);

/**
 * wd_iommu_sva_cut - let a bond reach no memory any more
 * @sva: bond. It keeps its PASID; requests there fail, and the hardware does not record them
 *
 * This also refuses outstanding page requests, so that the device ends the work which waits for
 * them.
 */
void wd_iommu_sva_cut(struct wd_sva *sva)
{
	struct wd_device *device;
	struct wd_attach *record;

	mutex_lock(&sva->lock);
	device = sva->bound ? wd_device_use(sva->dev) : NULL;
	if (device) {
		record = xa_load(&device->pasids, sva->pasid);
		if (record && record->table == sva->table)
			sva->table->ops->mm_table_cut(sva->table, sva->dev, sva->pasid);
		wd_device_unuse(device);
	}
	if (sva->bound && sva->pager)
		wd_sva_pager_close(sva->pager);
	mutex_unlock(&sva->lock);
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_cut);

/**
 * wd_iommu_sva_refuse - refuse the outstanding page requests of a bond
 * @sva: bond; it stays in use
 *
 * For a user that cannot wait for the pages, which may never arrive.
 */
void wd_iommu_sva_refuse(struct wd_sva *sva)
{
	mutex_lock(&sva->lock);
	if (sva->bound && sva->pager)
		wd_sva_pager_refuse(sva->pager);
	mutex_unlock(&sva->lock);
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_refuse);

/**
 * wd_iommu_sva_unbind - undo wd_iommu_sva_bind()
 * @sva: bond; its user sends no more requests for it. May be called in mm_exit
 *
 * When this returns the PASID may be used again: no request of it is on its way, and every page
 * request has an answer. This never waits for a page.
 */
void wd_iommu_sva_unbind(struct wd_sva *sva)
{
	mutex_lock(&sva->lock);
	wd_iommu_unbind_pgtable_pasid(&wd_sva_domain, sva->dev, sva->table, sva->pasid);
	sva->bound = false;
	mutex_unlock(&sva->lock);
	wd_sva_end_faults(sva);
	wd_sva_leave(sva);
	wd_sva_pager_free(sva->pager);
	wd_iommu_pgtable_free(sva->table);
	wd_iommu_sva_mm_put(sva->space);
	wd_sva_put(sva);
}
EXPORT_SYMBOL_GPL(wd_iommu_sva_unbind);

/* --- module --- */

int wd_iommu_sva_init(void)
{
	int ret = wd_sva_pagers_init();

	if (ret)
		return ret;
	ret = wd_iommu_domain_created(&wd_sva_domain);
	if (ret)
		wd_sva_pagers_exit();
	return ret;
}

/* No bonds are left, but Linux may still be freeing the last notifiers: wait for it. */
void wd_iommu_sva_exit(void)
{
	wd_iommu_domain_released(&wd_sva_domain);
	mmu_notifier_synchronize();
	wd_sva_pagers_exit();
}
