// SPDX-License-Identifier: GPL-2.0-only
/*
 * An IOMMU driver without hardware, for the devices of MOCK_DOMAIN. It keeps a record of what is
 * attached where. Before Linux 6.8 a bus has one IOMMU driver, so this module and another IOMMU
 * driver exclude each other.
 */
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "iommufd_test.h"

static struct iommu_device wd_test_iommu;

/*
 * Upstream's tests want attachments at this PASID to fail once after the first one, to see the way
 * back.
 */
static int wd_test_check_pasid(struct wd_test_device *device, ioasid_t pasid)
{
	bool fail = device->fail_reserved;

	if (pasid != IOMMU_TEST_PASID_RESERVED)
		return 0;
	device->fail_reserved = !fail;
	return fail ? -ENOMEM : 0;
}

static struct iommu_device *wd_test_probe_device(struct device *dev)
{
	struct wd_test_device *device = wd_test_device_of(dev);
	int rc;

	if (!device)
		return ERR_PTR(-ENODEV);
	rc = wd_iommu_device_claimed(&wd_test_iommu, dev);
	return rc ? ERR_PTR(rc) : &wd_test_iommu;
}

static void wd_test_release_device(struct device *dev)
{
	struct wd_test_device *device = wd_test_device_of(dev);

	xa_erase(&device->domains, IOMMU_NO_PASID);
	xa_erase(&device->tables, IOMMU_NO_PASID);
	wd_iommu_note_rid(NULL, dev);
	wd_iommu_device_released(dev);
	WARN_ON(!xa_empty(&device->domains) || !xa_empty(&device->tables));
}

static bool wd_test_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY || cap == IOMMU_CAP_INTR_REMAP;
}

static int wd_test_def_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

static const struct iommu_ops wd_test_iommu_ops = {
	.capable = wd_test_capable,
	.domain_alloc = wd_test_domain_alloc,
	.probe_device = wd_test_probe_device,
	.release_device = wd_test_release_device,
	.device_group = generic_device_group,
	.def_domain_type = wd_test_def_domain_type,
	.default_domain_ops = &wd_test_paging_ops,
	.pgsize_bitmap = MOCK_PAGE_SIZE,
	.owner = THIS_MODULE,
};

static int wd_test_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid)
{
	struct wd_test_device *device = wd_test_device_of(dev);
	int rc = wd_test_check_pasid(device, pasid);

	if (!rc && pasid == IOMMU_NO_PASID && !wd_test_domain_suits(domain, device))
		rc = -EINVAL;
	return rc ?: xa_err(xa_store(&device->domains, pasid, domain, GFP_KERNEL));
}

static void wd_test_remove_dev_pasid(struct iommu_domain *domain, struct device *dev,
				     ioasid_t pasid)
{
	struct wd_test_device *device = wd_test_device_of(dev);

	WARN_ON(xa_erase(&device->domains, pasid) != domain);
	if (pasid == IOMMU_TEST_PASID_RESERVED)
		device->fail_reserved = false;
}

/* A table of a virtual IOMMU is only for devices that have an id there. */
static int wd_test_check_table(struct wd_pgtable *table, struct device *dev, unsigned long *virt_id)
{
	struct wd_viommu *viommu = wd_test_table_viommu(table);

	*virt_id = 0;
	return viommu && !wd_viommu_find_id(viommu, dev, virt_id) ? -ENOENT : 0;
}

/* The table at the requester id decides where events go. */
static void wd_test_set_viommu(struct wd_test_device *device, ioasid_t pasid,
			       struct wd_pgtable *table, unsigned long virt_id)
{
	if (pasid != IOMMU_NO_PASID)
		return;
	mutex_lock(&device->event_lock);
	device->viommu = table ? wd_test_table_viommu(table) : NULL;
	device->virt_id = virt_id;
	mutex_unlock(&device->event_lock);
}

static int wd_test_bind(struct wd_pgtable *table, struct device *dev, ioasid_t pasid)
{
	struct wd_test_device *device = wd_test_device_of(dev);
	unsigned long virt_id;
	int rc = wd_test_check_pasid(device, pasid);

	if (!rc)
		rc = wd_test_check_table(table, dev, &virt_id);
	if (!rc)
		rc = xa_err(xa_store(&device->tables, pasid, table, GFP_KERNEL));
	if (!rc)
		wd_test_set_viommu(device, pasid, table, virt_id);
	return rc;
}

static void wd_test_unbind(struct wd_pgtable *table, struct device *dev, ioasid_t pasid)
{
	struct wd_test_device *device = wd_test_device_of(dev);

	WARN_ON(xa_erase(&device->tables, pasid) != table);
	wd_test_set_viommu(device, pasid, NULL, 0);
	if (pasid == IOMMU_TEST_PASID_RESERVED)
		device->fail_reserved = false;
}

/* A prepared replacement: a reserved place for the new attachment. */
struct wd_test_new_entry {
	struct wd_new_entry entry;
	struct wd_test_device *device;
	struct iommu_domain *domain;
	struct wd_pgtable *table;
	unsigned long virt_id;
};

static struct wd_test_new_entry *to_wd_test_new_entry(struct wd_new_entry *entry)
{
	return container_of(entry, struct wd_test_new_entry, entry);
}

static struct xarray *wd_test_place(struct wd_test_new_entry *new)
{
	return new->table ? &new->device->tables : &new->device->domains;
}

static struct wd_new_entry *wd_test_replace_prepare(struct iommu_domain *domain,
						    struct wd_pgtable *table, struct device *dev,
						    ioasid_t pasid)
{
	struct wd_test_device *device = wd_test_device_of(dev);
	struct wd_test_new_entry *new;
	unsigned long virt_id = 0;
	int rc = wd_test_check_pasid(device, pasid);

	if (!rc && pasid == IOMMU_NO_PASID && !wd_test_domain_suits(domain, device))
		rc = -EINVAL;
	if (!rc && table)
		rc = wd_test_check_table(table, dev, &virt_id);
	if (rc)
		return ERR_PTR(rc);
	new = kzalloc(sizeof(*new), GFP_KERNEL);
	if (!new)
		return ERR_PTR(-ENOMEM);
	new->device = device;
	new->entry.pasid = pasid;
	new->domain = domain;
	new->table = table;
	new->virt_id = virt_id;
	rc = xa_reserve(wd_test_place(new), pasid, GFP_KERNEL);
	if (rc) {
		kfree(new);
		return ERR_PTR(rc);
	}
	return &new->entry;
}

static void wd_test_replace_abort(struct wd_new_entry *entry)
{
	struct wd_test_new_entry *new = to_wd_test_new_entry(entry);

	xa_release(wd_test_place(new), entry->pasid);
	kfree(new);
}

static bool wd_test_replace_commit(struct device *dev, struct wd_new_entry *entry)
{
	struct wd_test_new_entry *new = to_wd_test_new_entry(entry);
	struct wd_test_device *device = new->device;

	if (!xa_load(&device->domains, entry->pasid) && !xa_load(&device->tables, entry->pasid)) {
		wd_test_replace_abort(entry);
		return false;
	}
	xa_store(wd_test_place(new), entry->pasid,
		 new->table ? (void *)new->table : (void *)new->domain, 0);
	xa_erase(new->table ? &device->domains : &device->tables, entry->pasid);
	wd_test_set_viommu(device, entry->pasid, new->table, new->virt_id);
	kfree(new);
	return true;
}

static bool wd_test_is_attached(struct device *dev, ioasid_t pasid, struct iommu_domain *domain,
				struct wd_pgtable *table)
{
	struct wd_test_device *device = wd_test_device_of(dev);

	if (table)
		return xa_load(&device->tables, pasid) == table;
	return xa_load(&device->domains, pasid) == domain && !xa_load(&device->tables, pasid);
}

static u32 wd_test_max_pasids(struct device *dev)
{
	return wd_test_device_of(dev)->flags & MOCK_FLAGS_DEVICE_PASID ? 1U << IOMMU_TEST_PASID_BITS
								       : 0;
}

static int wd_test_hw_info(struct device *dev, struct wd_iommu_hw_info *info)
{
	const struct wd_test_device *device = wd_test_device_of(dev);
	const struct iommu_test_hw_info test = {.test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL};

	info->type = IOMMU_HW_INFO_TYPE_SELFTEST;
	info->len = sizeof(test);
	memcpy(info->data, &test, sizeof(test));
	info->max_pasid_log2 = device->flags & MOCK_FLAGS_DEVICE_PASID ? IOMMU_TEST_PASID_BITS : 0;
	info->capabilities = IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	if (!(device->flags & MOCK_FLAGS_DEVICE_NO_DIRTY))
		info->capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
	return 0;
}

static u32 wd_test_fault_credits(struct device *dev)
{
	return 512;
}

static int wd_test_faults_enable(struct device *dev)
{
	wd_test_device_of(dev)->faults = true;
	return 0;
}

static void wd_test_faults_disable(struct device *dev)
{
	wd_test_device_of(dev)->faults = false;
}

/* Page requests come from commands, which report them at once. */
static void wd_test_faults_sync(struct device *dev) {}

/* The device does not wait for an answer. */
static void wd_test_page_response(struct device *dev, bool has_pasid, ioasid_t pasid, u16 grpid,
				  enum wd_fault_code code)
{
}

static const struct wd_iommu_ops wd_test_ops = {
	.owner = THIS_MODULE,
	.domain_data = true,
	.domain_alloc_user = wd_test_domain_alloc_user,
	.set_dev_pasid = wd_test_set_dev_pasid,
	.remove_dev_pasid = wd_test_remove_dev_pasid,
	.replace_prepare = wd_test_replace_prepare,
	.replace_commit = wd_test_replace_commit,
	.replace_abort = wd_test_replace_abort,
	.is_attached = wd_test_is_attached,
	.read_dirty = wd_test_read_dirty,
	.mark_dirty = wd_test_mark_dirty,
	.max_pasids = wd_test_max_pasids,
	.hw_info = wd_test_hw_info,
	.pgtable_alloc = wd_test_table_alloc,
	.pgtable_free = wd_test_table_free,
	.bind_pgtable = wd_test_bind,
	.unbind_pgtable = wd_test_unbind,
	.cache_invalidate = wd_test_table_invalidate,
	.fault_credits = wd_test_fault_credits,
	.faults_enable = wd_test_faults_enable,
	.faults_disable = wd_test_faults_disable,
	.faults_sync = wd_test_faults_sync,
	.page_response = wd_test_page_response,
	.viommu_type = IOMMU_VIOMMU_TYPE_SELFTEST,
	.viommu_alloc = wd_test_viommu_alloc,
	.viommu_free = wd_test_viommu_free,
	.viommu_table_alloc = wd_test_viommu_table_alloc,
	.viommu_invalidate = wd_test_viommu_invalidate,
	.viommu_queue_type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
	.viommu_nr_queues = IOMMU_TEST_HW_QUEUE_MAX,
	.viommu_queue_add = wd_test_queue_add,
	.viommu_queue_remove = wd_test_queue_remove,
};

static const struct attribute_group *wd_test_groups[] = {
	&wd_iommu_group,
	NULL,
};

int wd_test_iommu_init(void)
{
	int rc;

	memset(&wd_test_iommu, 0, sizeof(wd_test_iommu));
	rc = wd_test_domain_init();
	if (rc)
		return rc;
	rc = iommu_device_sysfs_add(&wd_test_iommu, NULL, wd_test_groups, "wd_iommufd_test");
	if (rc)
		goto err_domains;
	rc = wd_iommu_register(&wd_test_iommu, &wd_test_ops);
	if (rc)
		goto err_sysfs;
	rc = iommu_device_register(&wd_test_iommu, &wd_test_iommu_ops, NULL);
	if (rc)
		goto err_layer;
	return 0;

err_layer:
	wd_iommu_unregister(&wd_test_iommu);
err_sysfs:
	iommu_device_sysfs_remove(&wd_test_iommu);
err_domains:
	wd_test_domain_exit();
	return rc;
}

void wd_test_iommu_exit(void)
{
	iommu_device_unregister(&wd_test_iommu);
	wd_clear_bus_iommu_ops(&wd_test_iommu_ops);
	wd_iommu_unregister(&wd_test_iommu);
	iommu_device_sysfs_remove(&wd_test_iommu);
	wd_test_domain_exit();
}
