// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains, as drivers announce them, and the attach records of each device and each domain.
 */
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommu_layer.h"

static LIST_HEAD(wd_domain_list); /* in the order of creation, for walks */
static DEFINE_XARRAY(wd_domains); /* struct wd_domain by struct iommu_domain * */
static DEFINE_IDA(wd_domain_ids);

/* Whether a driver has announced the domain: others cannot be attached. */
static bool wd_domain_known(struct iommu_domain *domain)
{
	bool known;

	mutex_lock(&wd_lock);
	known = xa_load(&wd_domains, wd_index(domain));
	mutex_unlock(&wd_lock);
	return known;
}

/* Whether the driver of the device's IOMMU made @parent: it can use only its own tables. */
bool wd_fits_parent(const struct wd_device *device, struct iommu_domain *parent)
{
	return wd_domain_known(parent) && parent->type & __IOMMU_DOMAIN_PAGING &&
	       parent->ops == device->iommu->iommu->ops->default_domain_ops;
}

/* The caller keeps @domain from being released. Any context. */
struct wd_domain *wd_domain_peek(struct iommu_domain *domain)
{
	return xa_load(&wd_domains, wd_index(domain));
}

static void wd_attach_link(struct wd_attach *record, struct wd_domain *domain)
{
	lockdep_assert_held(&wd_lock);
	record->domain = domain;
	list_add_tail(&record->node, &domain->records);
}

static void wd_attach_unlink(struct wd_attach *record)
{
	lockdep_assert_held(&wd_lock);
	list_del_init(&record->node);
	record->domain = NULL;
}

static void wd_attach_take_table(struct wd_attach *record, struct wd_pgtable *table)
{
	lockdep_assert_held(&wd_lock);
	if (record->table)
		record->table->binds--;
	record->table = table;
	if (table)
		table->binds++;
}

/**
 * wd_attach_add - make the record of a domain that is about to be attached
 * @domain: announced domain
 * @device: in use
 * @pasid: PASID
 * @table: user-managed table on @domain that is bound there, or NULL
 *
 * Return: the record; ERR_PTR of -EBUSY if the PASID is taken, -EINVAL if @domain is unknown,
 * -ENOMEM.
 */
struct wd_attach *wd_attach_add(struct iommu_domain *domain, struct wd_device *device,
				ioasid_t pasid, struct wd_pgtable *table)
{
	struct wd_attach *record = kzalloc(sizeof(*record), GFP_KERNEL_ACCOUNT);
	struct wd_domain *known;
	int ret;

	if (!record)
		return ERR_PTR(-ENOMEM);
	record->device = device;
	record->pasid = pasid;
	ret = xa_insert(&device->pasids, pasid, record, GFP_KERNEL_ACCOUNT);
	if (ret)
		goto err_free;
	mutex_lock(&wd_lock);
	known = xa_load(&wd_domains, wd_index(domain));
	if (known) {
		wd_attach_link(record, known);
		wd_attach_take_table(record, table);
	}
	mutex_unlock(&wd_lock);
	if (known)
		return record;
	ret = -EINVAL;
	xa_erase(&device->pasids, pasid);
err_free:
	kfree(record);
	return ERR_PTR(ret);
}

/* Drop a record. The hardware has no entry for it any more, or never had one. */
void wd_attach_remove(struct wd_attach *record)
{
	xa_erase(&record->device->pasids, record->pasid);
	mutex_lock(&wd_lock);
	wd_attach_take_table(record, NULL);
	wd_attach_unlink(record);
	mutex_unlock(&wd_lock);
	kfree(record);
}

/**
 * wd_rid_take - record that the layer is about to replace the core's attachment
 * @device: in use
 * @domain: announced domain
 * @table: user-managed table on @domain that is bound there, or NULL
 *
 * This needs a requester id that the core has blocked, as it does for the owner of a group's DMA,
 * or one where it has attached the domain that @table is nested on.
 *
 * Return: 0; -EBUSY if the layer has attached something there; -EINVAL if @domain is unknown, or
 * the core has attached another domain.
 */
int wd_rid_take(struct wd_device *device, struct iommu_domain *domain, struct wd_pgtable *table)
{
	struct wd_domain *known, *core;
	int ret = 0;

	mutex_lock(&wd_lock);
	known = xa_load(&wd_domains, wd_index(domain));
	core = device->rid_core;
	if (device->rid_taken) {
		ret = -EBUSY;
	} else if (!known || !core ||
		   (core->domain->type != IOMMU_DOMAIN_BLOCKED && !(table && core == known))) {
		ret = -EINVAL;
	} else {
		device->rid_taken = true;
		wd_attach_unlink(&device->rid);
		wd_attach_link(&device->rid, known);
		wd_attach_take_table(&device->rid, table);
	}
	mutex_unlock(&wd_lock);
	return ret;
}

/* The core's attachment applies again. The hardware has no entry of the layer's any more. */
static void wd_rid_to_core(struct wd_device *device)
{
	lockdep_assert_held(&wd_lock);
	device->rid_taken = false;
	wd_attach_take_table(&device->rid, NULL);
	wd_attach_unlink(&device->rid);
	if (device->rid_core)
		wd_attach_link(&device->rid, device->rid_core);
}

/* Undo wd_rid_take(), unless an attach of the core has done so. */
void wd_rid_give_back(struct wd_device *device)
{
	mutex_lock(&wd_lock);
	if (device->rid_taken)
		wd_rid_to_core(device);
	mutex_unlock(&wd_lock);
}

/* The layer's attachment at [@device, @pasid]; NULL for none. */
struct wd_attach *wd_attach_at(struct wd_device *device, ioasid_t pasid)
{
	bool taken;

	lockdep_assert_held(&device->lock);
	if (pasid != IOMMU_NO_PASID)
		return xa_load(&device->pasids, pasid);
	mutex_lock(&wd_lock);
	taken = device->rid_taken;
	mutex_unlock(&wd_lock);
	return taken ? &device->rid : NULL;
}

/* Is @record about @domain and @table? The core may be changing the record of the requester id. */
bool wd_attach_is(const struct wd_attach *record, const struct iommu_domain *domain,
		  const struct wd_pgtable *table)
{
	bool is;

	mutex_lock(&wd_lock);
	is = record->domain && record->domain->domain == domain && record->table == table;
	mutex_unlock(&wd_lock);
	return is;
}

/* Change the record: the hardware has another attachment at [@device, @pasid] now. */
void wd_attach_move(struct wd_device *device, ioasid_t pasid, struct iommu_domain *domain,
		    struct wd_pgtable *table)
{
	struct wd_attach *record = wd_attach_at(device, pasid);
	struct wd_domain *known;

	mutex_lock(&wd_lock);
	known = xa_load(&wd_domains, wd_index(domain));
	/* The core may have taken the requester id back. */
	if (record && !WARN_ON(!known) && (pasid != IOMMU_NO_PASID || device->rid_taken)) {
		wd_attach_unlink(record);
		wd_attach_link(record, known);
		wd_attach_take_table(record, table);
	}
	mutex_unlock(&wd_lock);
}

bool wd_pgtable_unused(const struct wd_pgtable *table)
{
	bool unused;

	mutex_lock(&wd_lock);
	unused = !table->binds;
	mutex_unlock(&wd_lock);
	return unused;
}

/* --- detaching, with the device's lock held --- */

/* Detach a domain or unbind a table. The record must outlive the entry in hardware. */
void wd_detach(struct wd_device *device, struct wd_attach *record)
{
	struct wd_pgtable *table = record->table;
	struct wd_domain *domain = record->domain;

	lockdep_assert_held(&device->lock);
	if (table)
		table->ops->unbind_pgtable(table, device->dev, record->pasid);
	else if (domain)
		device->iommu->ops->remove_dev_pasid(domain->domain, device->dev, record->pasid);
	if (record == &device->rid)
		wd_rid_give_back(device);
	else
		wd_attach_remove(record);
}

/* Detach @domain, or @table on it, if it is attached at [@dev, @pasid]. */
void wd_detach_from(struct iommu_domain *domain, struct wd_pgtable *table, struct device *dev,
		    ioasid_t pasid)
{
	struct wd_device *device = wd_device_use(dev);
	struct wd_attach *record;

	if (!device)
		return;
	record = wd_attach_at(device, pasid);
	if (record && wd_attach_is(record, domain, table))
		wd_detach(device, record);
	WD_DEBUG_ON(!wd_attach_agrees(device, pasid));
	wd_device_unuse(device);
}

/* --- drivers --- */

static const char *wd_type_name(unsigned int type)
{
	switch (type) {
	case IOMMU_DOMAIN_BLOCKED:
		return "blocked";
	case IOMMU_DOMAIN_IDENTITY:
		return "identity";
	case IOMMU_DOMAIN_DMA:
	case IOMMU_DOMAIN_DMA_FQ:
		return "dma";
	case WD_IOMMU_DOMAIN_MM:
		return "sva";
	default:
		return "unmanaged";
	}
}

/**
 * wd_iommu_domain_created - let a domain be attached from now on
 * @domain: with its type set
 *
 * Return: 0; -EEXIST; -ENOMEM.
 */
int wd_iommu_domain_created(struct iommu_domain *domain)
{
	struct wd_domain *known = kzalloc(sizeof(*known), GFP_KERNEL_ACCOUNT);
	int ret = 0;

	if (!known)
		return -ENOMEM;
	known->domain = domain;
	known->type = wd_type_name(domain->type);
	INIT_LIST_HEAD(&known->records);
	if (domain->type & __IOMMU_DOMAIN_PAGING)
		ret = ida_alloc_range(&wd_domain_ids, 1, INT_MAX, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		goto err_free;
	known->id = ret;
	ret = xa_reserve(&wd_domains, wd_index(domain), GFP_KERNEL_ACCOUNT);
	if (ret)
		goto err_id;
	mutex_lock(&wd_lock);
	if (xa_load(&wd_domains, wd_index(domain)))
		ret = -EEXIST;
	else
		ret = xa_err(xa_store(&wd_domains, wd_index(domain), known, 0));
	if (!ret)
		list_add_tail(&known->node, &wd_domain_list);
	mutex_unlock(&wd_lock);
	if (!ret)
		return 0;
err_id:
	if (known->id)
		ida_free(&wd_domain_ids, known->id);
err_free:
	kfree(known);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_domain_created);

/**
 * wd_iommu_domain_released - a domain is about to be freed
 * @domain: not attached any more
 *
 * Return: true; false, with a warning, if it is still attached, which is a bug of its owner. Then
 * the driver must not free the domain, since devices use it.
 */
bool wd_iommu_domain_released(struct iommu_domain *domain)
{
	struct wd_domain *known;

	mutex_lock(&wd_lock);
	known = xa_load(&wd_domains, wd_index(domain));
	if (known && WARN_ON(!list_empty(&known->records))) {
		mutex_unlock(&wd_lock);
		return false;
	}
	xa_erase(&wd_domains, wd_index(domain));
	if (known)
		list_del(&known->node);
	mutex_unlock(&wd_lock);
	if (known && known->id)
		ida_free(&wd_domain_ids, known->id);
	kfree(known);
	return true;
}
EXPORT_SYMBOL_GPL(wd_iommu_domain_released);

/**
 * wd_iommu_note_rid - record which domain the core attaches to the requester id of a device
 * @domain: announced domain, or NULL for none
 * @dev: claimed device
 *
 * If the layer had replaced the core's attachment, its entry is gone from the hardware by now; this
 * drops its record.
 *
 * Return: 0; -ENODEV if @dev is not claimed; -EINVAL if @domain is unknown.
 */
int wd_iommu_note_rid(struct iommu_domain *domain, struct device *dev)
{
	struct wd_domain *known = NULL;
	struct wd_device *device;
	int ret = 0;

	mutex_lock(&wd_lock);
	device = wd_device_peek(dev);
	if (domain)
		known = xa_load(&wd_domains, wd_index(domain));
	if (!device) {
		ret = -ENODEV;
	} else if (domain && !known) {
		ret = -EINVAL;
	} else {
		device->rid_core = known;
		wd_rid_to_core(device);
	}
	mutex_unlock(&wd_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_note_rid);

/* @device leaves its IOMMU, so the core's attachment ends, too. */
void wd_rid_forget(struct wd_device *device)
{
	lockdep_assert_held(&wd_lock);
	device->rid_core = NULL;
	wd_rid_to_core(device);
}

/* Call @fn for every record, domain by domain, until it returns something else than 0. */
int wd_attach_walk(int (*fn)(const struct wd_attach *record, void *arg), void *arg)
{
	struct wd_domain *domain;
	struct wd_attach *record;
	int ret = 0;

	lockdep_assert_held(&wd_lock);
	list_for_each_entry (domain, &wd_domain_list, node) {
		list_for_each_entry (record, &domain->records, node) {
			ret = fn(record, arg);
			if (ret)
				return ret;
		}
	}
	return ret;
}

struct wd_public_walk {
	int (*fn)(const struct wd_iommu_attach *attach, void *arg);
	void *arg;
};

/* Whether a user-managed table is bound there. The table of a process has no paging parent. */
bool wd_attach_nested(const struct wd_attach *record)
{
	return record->table && record->domain->domain->type & __IOMMU_DOMAIN_PAGING;
}

static int wd_public_step(const struct wd_attach *record, void *arg)
{
	const struct wd_public_walk *walk = arg;
	struct wd_iommu_attach attach = {
		.dev = record->device->dev,
		.domain = record->domain->domain,
		.pasid = record->pasid,
		.nested = wd_attach_nested(record),
	};

	return walk->fn(&attach, walk->arg);
}

/**
 * wd_iommu_for_each_attach - visit every attach record, domain by domain
 * @fn: visitor. May sleep. Must not call the layer, nor take a lock under which others call the
 *	layer. A result other than 0 ends the walk
 * @arg: for @fn
 *
 * Return: 0, or the result of @fn.
 */
int wd_iommu_for_each_attach(int (*fn)(const struct wd_iommu_attach *attach, void *arg), void *arg)
{
	struct wd_public_walk walk = {fn, arg};
	int ret;

	mutex_lock(&wd_lock);
	ret = wd_attach_walk(wd_public_step, &walk);
	mutex_unlock(&wd_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_for_each_attach);
