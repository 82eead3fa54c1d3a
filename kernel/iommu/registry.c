// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables of the layer: IOMMUs and their operations, claimed devices, domains, and the attach
 * records, per device and per domain. Functions for drivers are here, and the walk of the records.
 */
#include <linux/err.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "layer.h"

/* The threads of page request queues take it: nothing is allocated under it. */
static DEFINE_MUTEX(wd_lock);
static LIST_HEAD(wd_iommus);
static LIST_HEAD(wd_domain_list); /* in the order of creation, for walks */
static DEFINE_XARRAY(wd_devices); /* struct wd_device by struct device * */
static DEFINE_XARRAY(wd_domains); /* struct wd_domain by struct iommu_domain * */
static DEFINE_IDA(wd_domain_ids);

/* Pointers as indices: without the bits that alignment makes zero. */
static unsigned long wd_index(const void *pointer)
{
	return (unsigned long)pointer >> 3;
}

static void wd_device_free(struct kref *kref)
{
	struct wd_device *device = container_of(kref, struct wd_device, kref);

	wd_faults_destroy(device);
	xa_destroy(&device->pasids);
	mutex_destroy(&device->lock);
	kfree(device);
}

void wd_device_get(struct wd_device *device)
{
	kref_get(&device->kref);
}

void wd_device_put(struct wd_device *device)
{
	kref_put(&device->kref, wd_device_free);
}

/* With a reference; NULL if @dev is not claimed. The claim may end at any time. */
struct wd_device *wd_device_find(struct device *dev)
{
	struct wd_device *device;

	mutex_lock(&wd_lock);
	device = xa_load(&wd_devices, wd_index(dev));
	if (device)
		wd_device_get(device);
	mutex_unlock(&wd_lock);
	return device;
}

/*
 * Take a device into use: NULL if it is not claimed, otherwise its lock is held and the driver's
 * operations may be called until wd_device_unuse().
 */
struct wd_device *wd_device_use(struct device *dev)
{
	struct wd_device *device = wd_device_find(dev);

	if (!device)
		return NULL;
	mutex_lock(&device->lock);
	if (!device->gone)
		return device;
	mutex_unlock(&device->lock);
	wd_device_put(device);
	return NULL;
}

void wd_device_unuse(struct wd_device *device)
{
	mutex_unlock(&device->lock);
	wd_device_put(device);
}

/* Drivers announce domains that may be attached. */
bool wd_domain_known(struct iommu_domain *domain)
{
	bool known;

	mutex_lock(&wd_lock);
	known = xa_load(&wd_domains, wd_index(domain));
	mutex_unlock(&wd_lock);
	return known;
}

/* For callers that know that @domain is not released meanwhile. Any context. */
struct wd_domain *wd_domain_peek(struct iommu_domain *domain)
{
	return xa_load(&wd_domains, wd_index(domain));
}

static void wd_record_link(struct wd_record *record, struct wd_domain *domain)
{
	lockdep_assert_held(&wd_lock);
	record->domain = domain;
	list_add_tail(&record->node, &domain->records);
}

static void wd_record_unlink(struct wd_record *record)
{
	lockdep_assert_held(&wd_lock);
	list_del_init(&record->node);
	record->domain = NULL;
}

static void wd_record_take_table(struct wd_record *record, struct wd_pgtable *table)
{
	lockdep_assert_held(&wd_lock);
	if (record->table)
		record->table->binds--;
	record->table = table;
	if (table)
		table->binds++;
}

/**
 * wd_record_add - note that a domain is about to be attached
 * @domain: announced domain
 * @device: in use
 * @pasid: PASID
 * @table: user-managed table on @domain that is bound there, or NULL
 *
 * Return: the record; ERR_PTR of -EBUSY if the PASID is taken, -EINVAL if @domain is unknown,
 * -ENOMEM.
 */
struct wd_record *wd_record_add(struct iommu_domain *domain, struct wd_device *device,
				ioasid_t pasid, struct wd_pgtable *table)
{
	struct wd_record *record = kzalloc(sizeof(*record), GFP_KERNEL_ACCOUNT);
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
		wd_record_link(record, known);
		wd_record_take_table(record, table);
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

/* The attachment is gone from the hardware, or never got there. */
void wd_record_remove(struct wd_record *record)
{
	xa_erase(&record->device->pasids, record->pasid);
	mutex_lock(&wd_lock);
	wd_record_take_table(record, NULL);
	wd_record_unlink(record);
	mutex_unlock(&wd_lock);
	kfree(record);
}

/**
 * wd_rid_take - note that something is about to take the place of the core's attachment
 * @device: in use
 * @domain: announced domain
 * @table: user-managed table on @domain that is bound there, or NULL
 *
 * The core must have blocked the requester id, which it does for the owner of a group's DMA, or
 * have attached the domain that @table is nested on.
 *
 * Return: 0; -EBUSY if the layer has put something there; -EINVAL if @domain is unknown, or the
 * requester id is in the core's use.
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
		wd_record_unlink(&device->rid);
		wd_record_link(&device->rid, known);
		wd_record_take_table(&device->rid, table);
	}
	mutex_unlock(&wd_lock);
	return ret;
}

/* The requester id is the core's again: the layer's part is gone from the hardware. */
static void wd_rid_to_core(struct wd_device *device)
{
	lockdep_assert_held(&wd_lock);
	device->rid_taken = false;
	wd_record_take_table(&device->rid, NULL);
	wd_record_unlink(&device->rid);
	if (device->rid_core)
		wd_record_link(&device->rid, device->rid_core);
}

/* Undo wd_rid_take(), if the core has not done so. */
void wd_rid_give_back(struct wd_device *device)
{
	mutex_lock(&wd_lock);
	if (device->rid_taken)
		wd_rid_to_core(device);
	mutex_unlock(&wd_lock);
}

/* The layer's attachment at [@device, @pasid]; NULL for none. */
struct wd_record *wd_record_at(struct wd_device *device, ioasid_t pasid)
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
bool wd_record_is(const struct wd_record *record, const struct iommu_domain *domain,
		  const struct wd_pgtable *table)
{
	bool is;

	mutex_lock(&wd_lock);
	is = record->domain && record->domain->domain == domain && record->table == table;
	mutex_unlock(&wd_lock);
	return is;
}

/* Something else is in the hardware at [@device, @pasid] now. */
void wd_record_move(struct wd_device *device, ioasid_t pasid, struct iommu_domain *domain,
		    struct wd_pgtable *table)
{
	struct wd_record *record = wd_record_at(device, pasid);
	struct wd_domain *known;

	mutex_lock(&wd_lock);
	known = xa_load(&wd_domains, wd_index(domain));
	/* The core may have taken the requester id back. */
	if (record && !WARN_ON(!known) && (pasid != IOMMU_NO_PASID || device->rid_taken)) {
		wd_record_unlink(record);
		wd_record_link(record, known);
		wd_record_take_table(record, table);
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

/* --- drivers --- */

static struct wd_iommu *wd_find_iommu(struct iommu_device *iommu)
{
	struct wd_iommu *found;

	lockdep_assert_held(&wd_lock);
	list_for_each_entry (found, &wd_iommus, node)
		if (found->iommu == iommu)
			return found;
	return NULL;
}

/**
 * wd_iommu_register - a driver offers the layer's operations for its IOMMU
 * @iommu: the IOMMU, before iommu_device_register()
 * @ops: operations, in place until wd_iommu_unregister()
 *
 * Return: 0; -EBUSY if it is registered; -ENOMEM.
 */
int wd_iommu_register(struct iommu_device *iommu, const struct wd_iommu_ops *ops)
{
	struct wd_iommu *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL);
	int ret = 0;

	if (!fresh)
		return -ENOMEM;
	fresh->iommu = iommu;
	fresh->ops = ops;
	mutex_lock(&wd_lock);
	if (wd_find_iommu(iommu))
		ret = -EBUSY;
	else
		list_add_tail(&fresh->node, &wd_iommus);
	mutex_unlock(&wd_lock);
	if (ret)
		kfree(fresh);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_register);

/**
 * wd_iommu_unregister - undo wd_iommu_register()
 * @iommu: the IOMMU, after iommu_device_unregister(), which has released every device
 */
void wd_iommu_unregister(struct iommu_device *iommu)
{
	struct wd_iommu *found;

	mutex_lock(&wd_lock);
	found = wd_find_iommu(iommu);
	if (found && !WARN_ON(found->devices))
		list_del(&found->node);
	else
		found = NULL;
	mutex_unlock(&wd_lock);
	kfree(found);
}
EXPORT_SYMBOL_GPL(wd_iommu_unregister);

/**
 * wd_iommu_fault_count - groups of page requests that the layer has answered itself
 * @iommu: registered IOMMU
 * @count: why it did
 */
u64 wd_iommu_fault_count(struct iommu_device *iommu, enum wd_fault_count count)
{
	struct wd_iommu *found;
	u64 number = 0;

	mutex_lock(&wd_lock);
	found = wd_find_iommu(iommu);
	if (found)
		number = atomic64_read(&found->fault_counts[count]);
	mutex_unlock(&wd_lock);
	return number;
}
EXPORT_SYMBOL_GPL(wd_iommu_fault_count);

/**
 * wd_iommu_device_claimed - a device may be attached from now on
 * @iommu: registered IOMMU that translates for it
 * @dev: device
 *
 * Return: 0; -ENODEV if @iommu is not registered; -EBUSY if @dev is claimed; -ENOMEM.
 */
int wd_iommu_device_claimed(struct iommu_device *iommu, struct device *dev)
{
	struct wd_device *device = kzalloc(sizeof(*device), GFP_KERNEL);
	int ret;

	if (!device)
		return -ENOMEM;
	kref_init(&device->kref);
	mutex_init(&device->lock);
	xa_init(&device->pasids);
	INIT_LIST_HEAD(&device->rid.node);
	INIT_LIST_HEAD(&device->replaces);
	device->rid.device = device;
	device->rid.pasid = IOMMU_NO_PASID;
	device->dev = dev;
	wd_faults_init(device);

	ret = xa_reserve(&wd_devices, wd_index(dev), GFP_KERNEL);
	if (ret)
		goto err_put;
	mutex_lock(&wd_lock);
	device->iommu = wd_find_iommu(iommu);
	if (!device->iommu)
		ret = -ENODEV;
	else if (xa_load(&wd_devices, wd_index(dev)))
		ret = -EBUSY;
	else
		ret = xa_err(xa_store(&wd_devices, wd_index(dev), device, 0));
	if (ret)
		xa_release(&wd_devices, wd_index(dev));
	else
		device->iommu->devices++;
	mutex_unlock(&wd_lock);
	if (!ret)
		return 0;
err_put:
	wd_device_put(device);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_device_claimed);

/**
 * wd_iommu_device_released - a device leaves its IOMMU
 * @dev: device; if it is not claimed nothing happens
 *
 * The driver has blocked the requester id. Calls in flight for @dev have ended when this returns,
 * later ones get -ENODEV, and answers to its page requests are dropped.
 */
void wd_iommu_device_released(struct device *dev)
{
	struct wd_device *device = wd_device_use(dev);
	struct wd_record *record;
	unsigned long pasid;

	if (!device)
		return;
	device->gone = true;
	wd_replaces_release(device);
	xa_for_each (&device->pasids, pasid, record)
		wd_detach(device, record);
	record = wd_record_at(device, IOMMU_NO_PASID);
	if (record)
		wd_detach(device, record);
	wd_faults_release(device);
	mutex_lock(&wd_lock);
	device->rid_core = NULL;
	wd_rid_to_core(device);
	xa_erase(&wd_devices, wd_index(dev));
	device->iommu->devices--;
	mutex_unlock(&wd_lock);
	wd_device_unuse(device);
	wd_device_put(device);
}
EXPORT_SYMBOL_GPL(wd_iommu_device_released);

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
 * wd_iommu_domain_created - a domain may be attached from now on
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
		ret = ida_alloc_range(&wd_domain_ids, 1, INT_MAX, GFP_KERNEL);
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
 * @domain: attached nowhere
 *
 * Return: true; false, with a warning, if it is attached somewhere: a bug of its owner. The driver
 * then keeps the domain, since devices still use it.
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
 * wd_iommu_note_rid - which domain the core has attached to the requester id of a device
 * @domain: announced domain, or NULL for none
 * @dev: claimed device
 *
 * An attachment of the layer in the place of the core's is gone from the hardware by now, and its
 * record is cleared.
 *
 * Return: 0; -ENODEV if @dev is not claimed; -EINVAL if @domain is unknown.
 */
int wd_iommu_note_rid(struct iommu_domain *domain, struct device *dev)
{
	struct wd_domain *known = NULL;
	struct wd_device *device;
	int ret = 0;

	mutex_lock(&wd_lock);
	device = xa_load(&wd_devices, wd_index(dev));
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

static int wd_walk(int (*fn)(const struct wd_record *record, void *arg), void *arg)
{
	struct wd_domain *domain;
	struct wd_record *record;
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

/* Whether the hardware goes through the user's table there; a process's has no parent. */
static bool wd_record_nested(const struct wd_record *record)
{
	return record->table && record->domain->domain->type & __IOMMU_DOMAIN_PAGING;
}

static int wd_public_step(const struct wd_record *record, void *arg)
{
	const struct wd_public_walk *walk = arg;
	struct wd_iommu_attach attach = {
		.dev = record->device->dev,
		.domain = record->domain->domain,
		.pasid = record->pasid,
		.nested = wd_record_nested(record),
	};

	return walk->fn(&attach, walk->arg);
}

/**
 * wd_iommu_for_each_attach - visit every attach record, domain by domain
 * @fn: visitor; may sleep, must not call the layer nor take a lock under which the layer is
 *	called; not 0 ends the walk
 * @arg: for @fn
 *
 * Return: 0, or the result of @fn.
 */
int wd_iommu_for_each_attach(int (*fn)(const struct wd_iommu_attach *attach, void *arg), void *arg)
{
	struct wd_public_walk walk = {fn, arg};
	int ret;

	mutex_lock(&wd_lock);
	ret = wd_walk(wd_public_step, &walk);
	mutex_unlock(&wd_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(wd_iommu_for_each_attach);

/* --- attribute "attachments" --- */

#define WD_ATTACH_LINE 96
#define WD_MORE_LINE 32

struct wd_attach_show {
	struct iommu_device *iommu;
	char *buf;
	size_t at;
	unsigned int more;
};

static int wd_show_step(const struct wd_record *record, void *arg)
{
	struct wd_attach_show *show = arg;
	char line[WD_ATTACH_LINE], pasid[12] = "-";
	int length;

	if (record->device->iommu->iommu != show->iommu)
		return 0;
	if (record->pasid != IOMMU_NO_PASID)
		snprintf(pasid, sizeof(pasid), "%u", record->pasid);
	length = scnprintf(line, sizeof(line), "domain=%d type=%s dev=%s pasid=%s%s\n",
			   record->domain->id, record->domain->type, dev_name(record->device->dev),
			   pasid, wd_record_nested(record) ? " nested=1" : "");
	if (show->more || show->at + length > PAGE_SIZE - WD_MORE_LINE)
		show->more++;
	else
		show->at += sysfs_emit_at(show->buf, show->at, "%s", line);
	return 0;
}

/*
 * One line a record; the last line counts records that do not fit into a page. Root only, as the
 * log of faults: both show PASIDs of other users.
 */
static ssize_t attachments_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct wd_attach_show show = {dev_to_iommu_device(dev), buf};

	mutex_lock(&wd_lock);
	wd_walk(wd_show_step, &show);
	mutex_unlock(&wd_lock);
	if (show.more)
		show.at += sysfs_emit_at(buf, show.at, "more=%u\n", show.more);
	return show.at;
}
static DEVICE_ATTR_ADMIN_RO(attachments);

static struct attribute *wd_iommu_attrs[] = {
	&dev_attr_attachments.attr,
	&dev_attr_leaked_pages.attr,
	NULL,
};

const struct attribute_group wd_iommu_group = {
	.attrs = wd_iommu_attrs,
};
EXPORT_SYMBOL_GPL(wd_iommu_group);
