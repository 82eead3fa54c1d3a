// SPDX-License-Identifier: Apache-2.0
/*
 * An IOMMU driver without hardware: page tables are interval trees, one entry for each page
 * written.
 */
#include <linux/interval_tree.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "iommu_pasid.h"
#include "mock.h"
#include "mock_iommu.h"

struct mock_config mock_config;
struct mock_counters mock_counters;

struct mock_entry {
	struct interval_tree_node node;
	phys_addr_t phys;
	int prot;
};

struct mock_domain {
	struct iommu_domain domain;
	struct mutex lock;
	struct rb_root_cached entries;
	unsigned int made_for;
};

static DEFINE_MUTEX(mock_lock);
static struct mock_dev *mock_devs[32];
static struct iommu_device mock_instance;
static struct iommu_group *mock_group;

static struct mock_domain *to_mock(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

bool mock_fails(unsigned int *countdown)
{
	return *countdown && !--*countdown;
}

static int mock_may_attach(struct iommu_domain *domain, struct mock_dev *mdev)
{
	if (!(domain->type & __IOMMU_DOMAIN_PAGING))
		return 0;
	if (mock_fails(&mock_config.fail_attach))
		return -ENOSPC;
	if (mock_config.picky_devices & (1U << mdev->index) &&
	    to_mock(domain)->made_for != mdev->index)
		return -EINVAL;
	return 0;
}

/* The core takes the requester id, even if the layer has it. */
static int mock_attach_dev(struct iommu_domain *domain, struct device *dev)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	int rc = mock_may_attach(domain, mdev);

	if (rc)
		return rc;
	if (domain->type & __IOMMU_DOMAIN_PAGING)
		__atomic_fetch_add(&mock_counters.by_core, 1, __ATOMIC_RELAXED);
	mutex_lock(&mock_lock);
	xa_erase(&mdev->pasids, IOMMU_NO_PASID);
	xa_erase(&mdev->tables, IOMMU_NO_PASID);
	mock_set_rid(mdev, domain);
	mutex_unlock(&mock_lock);
	return wd_iommu_note_rid(domain, dev);
}

static int mock_map_pages(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr,
			  size_t pgsize, size_t pgcount, int prot, gfp_t gfp, size_t *mapped)
{
	struct mock_domain *mock = to_mock(domain);
	int rc = 0;

	mutex_lock(&mock->lock);
	mock_counters.map_calls++;
	while (pgcount-- && !rc) {
		struct mock_entry *entry;

		if (mock_fails(&mock_config.fail_map)) {
			rc = -ENOSPC;
			break;
		}
		entry = kzalloc(sizeof(*entry), gfp);
		if (!entry) {
			rc = -ENOMEM;
			break;
		}
		entry->node.start = iova;
		entry->node.last = iova + pgsize - 1;
		entry->phys = paddr;
		entry->prot = prot;
		WARN_ON(interval_tree_iter_first(&mock->entries, iova, entry->node.last));
		interval_tree_insert(&entry->node, &mock->entries);
		if (pgsize > 4096)
			mock_counters.large_pages++;
		iova += pgsize;
		paddr += pgsize;
		*mapped += pgsize;
	}
	mutex_unlock(&mock->lock);
	return rc;
}

static size_t mock_unmap_pages(struct iommu_domain *domain, unsigned long iova, size_t pgsize,
			       size_t pgcount, struct iommu_iotlb_gather *gather)
{
	struct mock_domain *mock = to_mock(domain);
	unsigned long last = iova + pgsize * pgcount - 1;
	struct interval_tree_node *node;
	size_t done = 0;

	mutex_lock(&mock->lock);
	while (done < pgsize * pgcount) {
		node = interval_tree_iter_first(&mock->entries, iova + done, last);
		if (!node || node->start != iova + done)
			break;
		done += node->last - node->start + 1;
		interval_tree_remove(node, &mock->entries);
		kfree(container_of(node, struct mock_entry, node));
	}
	mutex_unlock(&mock->lock);
	return done;
}

static void mock_iotlb_sync(struct iommu_domain *domain, struct iommu_iotlb_gather *gather)
{
	__atomic_fetch_add(&mock_counters.syncs, 1, __ATOMIC_RELAXED);
}

static phys_addr_t mock_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	struct mock_domain *mock = to_mock(domain);
	struct interval_tree_node *node;
	phys_addr_t phys = 0;

	mutex_lock(&mock->lock);
	node = interval_tree_iter_first(&mock->entries, iova, iova);
	if (node)
		phys = container_of(node, struct mock_entry, node)->phys + (iova - node->start);
	mutex_unlock(&mock->lock);
	return phys;
}

static void mock_domain_free(struct iommu_domain *domain)
{
	struct mock_domain *mock = to_mock(domain);

	WARN_ON(!RB_EMPTY_ROOT(&mock->entries.rb_root));
	wd_iommu_domain_released(domain);
	__atomic_fetch_sub(&mock_counters.domains, 1, __ATOMIC_RELAXED);
	mutex_destroy(&mock->lock);
	kfree(mock);
}

static void mock_static_free(struct iommu_domain *domain)
{
	wd_iommu_domain_released(domain);
	kfree(domain);
}

static const struct iommu_domain_ops mock_paging_ops = {
	.attach_dev = mock_attach_dev,
	.map_pages = mock_map_pages,
	.unmap_pages = mock_unmap_pages,
	.iotlb_sync = mock_iotlb_sync,
	.iova_to_phys = mock_iova_to_phys,
	.free = mock_domain_free,
};

static const struct iommu_domain_ops mock_static_ops = {
	.attach_dev = mock_attach_dev,
	.free = mock_static_free,
};

static struct iommu_domain *mock_static_alloc(unsigned int type)
{
	struct iommu_domain *domain = kzalloc(sizeof(*domain), GFP_KERNEL);

	if (!domain)
		return NULL;
	domain->type = type;
	domain->ops = &mock_static_ops;
	if (wd_iommu_domain_created(domain)) {
		kfree(domain);
		return NULL;
	}
	return domain;
}

static struct iommu_domain *mock_domain_alloc(unsigned int type)
{
	struct mock_domain *mock;

	if (type == IOMMU_DOMAIN_BLOCKED || type == IOMMU_DOMAIN_IDENTITY)
		return mock_static_alloc(type);
	if (type != IOMMU_DOMAIN_UNMANAGED)
		return NULL;
	mock = kzalloc(sizeof(*mock), GFP_KERNEL);
	if (!mock)
		return NULL;
	mutex_init(&mock->lock);
	mock->entries = RB_ROOT_CACHED;
	mock->domain.type = type;
	mock->domain.ops = &mock_paging_ops;
	mock->domain.pgsize_bitmap = mock_config.pgsizes;
	mock->domain.geometry.aperture_start = mock_config.aperture_start;
	mock->domain.geometry.aperture_end = mock_config.aperture_end;
	mock->domain.geometry.force_aperture = true;
	if (wd_iommu_domain_created(&mock->domain)) {
		kfree(mock);
		return NULL;
	}
	__atomic_fetch_add(&mock_counters.domains, 1, __ATOMIC_RELAXED);
	return &mock->domain;
}

static struct iommu_device *mock_probe_device(struct device *dev)
{
	struct mock_dev *mdev;
	struct pci_dev *pdev;

	if (!dev_is_pci(dev))
		return ERR_PTR(-ENODEV);
	pdev = to_pci_dev(dev);
	if (pdev->vendor != MOCK_VENDOR)
		return ERR_PTR(-ENODEV);
	mdev = kzalloc(sizeof(*mdev), GFP_KERNEL);
	if (!mdev)
		return ERR_PTR(-ENOMEM);
	mdev->dev = dev;
	mdev->index = PCI_SLOT(pdev->devfn);
	xa_init(&mdev->pasids);
	xa_init(&mdev->tables);
	if (wd_iommu_device_claimed(&mock_instance, dev)) {
		kfree(mdev);
		return ERR_PTR(-ENODEV);
	}
	dev_iommu_priv_set(dev, mdev);
	mutex_lock(&mock_lock);
	mock_devs[mdev->index] = mdev;
	mutex_unlock(&mock_lock);
	mock_queue_open(mdev);
	return &mock_instance;
}

static void mock_release_device(struct device *dev)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	mutex_lock(&mock_lock);
	xa_erase(&mdev->pasids, IOMMU_NO_PASID);
	xa_erase(&mdev->tables, IOMMU_NO_PASID);
	mock_set_rid(mdev, NULL);
	mutex_unlock(&mock_lock);
	wd_iommu_note_rid(NULL, dev);
	wd_iommu_device_released(dev);
	mock_queue_close(mdev);
	mutex_lock(&mock_lock);
	mock_devs[mdev->index] = NULL;
	mutex_unlock(&mock_lock);
	WARN_ON(!xa_empty(&mdev->pasids));
	xa_destroy(&mdev->pasids);
	WARN_ON(!xa_empty(&mdev->tables));
	xa_destroy(&mdev->tables);
	dev_iommu_priv_set(dev, NULL);
	kfree(mdev);
}

static struct iommu_group *mock_device_group(struct device *dev)
{
	if (!mock_config.one_group)
		return pci_device_group(dev);
	if (mock_group)
		return iommu_group_ref_get(mock_group);
	mock_group = iommu_group_alloc();
	if (!IS_ERR(mock_group))
		iommu_group_ref_get(mock_group);
	return mock_group;
}

static void mock_get_resv_regions(struct device *dev, struct list_head *list)
{
	unsigned int i;

	for (i = 0; i < mock_config.nr_regions; i++) {
		const struct mock_region *region = &mock_config.regions[i];
		struct iommu_resv_region *resv;

		resv = iommu_alloc_resv_region(region->start, region->length, 0, region->type,
					       GFP_KERNEL);
		if (resv)
			list_add_tail(&resv->list, list);
	}
}

static bool mock_capable(struct device *dev, enum iommu_cap cap)
{
	if (cap == IOMMU_CAP_CACHE_COHERENCY)
		return mock_config.coherent;
	return cap == IOMMU_CAP_INTR_REMAP && mock_config.isolated;
}

static int mock_def_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

static const struct iommu_ops mock_ops = {
	.capable = mock_capable,
	.domain_alloc = mock_domain_alloc,
	.probe_device = mock_probe_device,
	.release_device = mock_release_device,
	.device_group = mock_device_group,
	.get_resv_regions = mock_get_resv_regions,
	.def_domain_type = mock_def_domain_type,
	.default_domain_ops = &mock_paging_ops,
	.pgsize_bitmap = 4096,
	.owner = THIS_MODULE,
};

static struct iommu_domain *mock_domain_alloc_user(struct device *dev, u32 flags,
						   const struct wd_user_data *data)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	struct iommu_domain *domain;

	if (flags &
	    ~(IOMMU_HWPT_ALLOC_PASID | (mock_config.nest ? IOMMU_HWPT_ALLOC_NEST_PARENT : 0)))
		return ERR_PTR(-EOPNOTSUPP);
	domain = mock_domain_alloc(IOMMU_DOMAIN_UNMANAGED);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	to_mock(domain)->made_for = mdev->index;
	return domain;
}

static bool mock_domain_serves(struct iommu_domain *domain, struct device *dev, u32 flags)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	return mock_config.serves && to_mock(domain)->made_for == mdev->index;
}

static int mock_set_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	int rc = mock_may_attach(domain, mdev);

	if (rc)
		return rc;
	WARN_ON(pasid == IOMMU_NO_PASID && mdev->rid->type != IOMMU_DOMAIN_BLOCKED);
	return xa_err(xa_store(&mdev->pasids, pasid, domain, GFP_KERNEL));
}

static void mock_remove_dev_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	WARN_ON(xa_erase(&mdev->pasids, pasid) != domain);
	mock_queue_drain();
}

struct mock_new_entry {
	struct wd_new_entry entry;
	struct mock_dev *mdev;
	struct iommu_domain *domain;
	struct wd_pgtable *table;
};

static struct mock_new_entry *to_mock_new_entry(struct wd_new_entry *entry)
{
	return container_of(entry, struct mock_new_entry, entry);
}

static struct xarray *mock_entry_place(struct mock_new_entry *new)
{
	return new->table ? &new->mdev->tables : &new->mdev->pasids;
}

static struct wd_new_entry *mock_replace_prepare(struct iommu_domain *domain,
						 struct wd_pgtable *table, struct device *dev,
						 ioasid_t pasid)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	struct mock_new_entry *new;
	int rc = mock_may_attach(domain, mdev);

	if (rc)
		return ERR_PTR(rc);
	new = kzalloc(sizeof(*new), GFP_KERNEL);
	if (!new)
		return ERR_PTR(-ENOMEM);
	new->mdev = mdev;
	new->entry.pasid = pasid;
	new->domain = domain;
	new->table = table;
	rc = xa_reserve(mock_entry_place(new), pasid, GFP_KERNEL);
	if (rc) {
		kfree(new);
		return ERR_PTR(rc);
	}
	return &new->entry;
}

static void mock_replace_abort(struct wd_new_entry *entry)
{
	struct mock_new_entry *new = to_mock_new_entry(entry);

	xa_release(mock_entry_place(new), entry->pasid);
	kfree(new);
}

void (*mock_on_replace)(void);

static bool mock_replace_commit(struct device *dev, struct wd_new_entry *entry)
{
	struct mock_new_entry *new = to_mock_new_entry(entry);
	struct mock_dev *mdev = new->mdev;

	if (!xa_load(&mdev->pasids, entry->pasid) && !xa_load(&mdev->tables, entry->pasid)) {
		mock_replace_abort(entry);
		return false;
	}
	if (mock_on_replace)
		mock_on_replace();
	xa_store(mock_entry_place(new), entry->pasid,
		 new->table ? mock_table_object(new->table) : (void *)new->domain, 0);
	xa_erase(new->table ? &mdev->pasids : &mdev->tables, entry->pasid);
	__atomic_fetch_add(&mock_counters.replaced, 1, __ATOMIC_RELAXED);
	if (mock_on_replace)
		mock_on_replace();
	kfree(new);
	return true;
}

static bool mock_is_attached(struct device *dev, ioasid_t pasid, struct iommu_domain *domain,
			     struct wd_pgtable *table)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	if (table)
		return xa_load(&mdev->tables, pasid) == mock_table_object(table);
	return xa_load(&mdev->pasids, pasid) == domain && !xa_load(&mdev->tables, pasid);
}

static u32 mock_max_pasids(struct device *dev)
{
	return mock_config.max_pasids;
}

static int mock_hw_info(struct device *dev, struct wd_iommu_hw_info *info)
{
	unsigned int i;

	if (!mock_config.hw_info_len)
		return -EOPNOTSUPP;
	info->type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	info->len = mock_config.hw_info_len;
	for (i = 0; i < info->len; i++)
		info->data[i] = 0xa0 + i;
	info->max_pasid_log2 = 20;
	info->capabilities = IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	return 0;
}

static const struct wd_iommu_ops mock_wd_ops = {
	.owner = THIS_MODULE,
	.domain_alloc_user = mock_domain_alloc_user,
	.domain_serves = mock_domain_serves,
	.set_dev_pasid = mock_set_dev_pasid,
	.remove_dev_pasid = mock_remove_dev_pasid,
	.replace_prepare = mock_replace_prepare,
	.replace_commit = mock_replace_commit,
	.replace_abort = mock_replace_abort,
	.is_attached = mock_is_attached,
	.max_pasids = mock_max_pasids,
	.hw_info = mock_hw_info,
};

static const struct wd_iommu_ops mock_nest_ops = {
	.owner = THIS_MODULE,
	.domain_alloc_user = mock_domain_alloc_user,
	.domain_serves = mock_domain_serves,
	.set_dev_pasid = mock_set_dev_pasid,
	.remove_dev_pasid = mock_remove_dev_pasid,
	.replace_prepare = mock_replace_prepare,
	.replace_commit = mock_replace_commit,
	.replace_abort = mock_replace_abort,
	.is_attached = mock_is_attached,
	.max_pasids = mock_max_pasids,
	.hw_info = mock_hw_info,
	.pgtable_alloc = mock_pgtable_alloc,
	.pgtable_free = mock_pgtable_free,
	.bind_pgtable = mock_bind_pgtable,
	.unbind_pgtable = mock_unbind_pgtable,
	.cache_invalidate = mock_cache_invalidate,
	.fault_credits = mock_fault_credits,
	.faults_enable = mock_faults_enable,
	.faults_disable = mock_faults_disable,
	.faults_sync = mock_faults_sync,
	.page_response = mock_page_response,
	.reset_prepare = mock_reset,
	.reset_done = mock_reset,
};

static struct iommu_domain *mock_find_domain(unsigned int device, unsigned int pasid)
{
	struct mock_dev *mdev = device < ARRAY_SIZE(mock_devs) ? mock_devs[device] : NULL;
	struct iommu_domain *domain;

	if (!mdev)
		return NULL;
	domain = xa_load(&mdev->pasids, pasid);
	if (!domain && !pasid)
		domain = mock_table_parent(mdev, pasid);
	return domain || pasid ? domain : mdev->rid;
}

int mock_translate(unsigned int device, unsigned int pasid, unsigned long iova,
		   unsigned long long *phys, int *prot, unsigned long *pgsize)
{
	struct iommu_domain *domain;
	struct interval_tree_node *node = NULL;

	mutex_lock(&mock_lock);
	domain = mock_find_domain(device, pasid);
	if (domain && domain->ops == &mock_paging_ops) {
		struct mock_domain *mock = to_mock(domain);

		mutex_lock(&mock->lock);
		node = interval_tree_iter_first(&mock->entries, iova, iova);
		if (node) {
			struct mock_entry *entry = container_of(node, struct mock_entry, node);

			*phys = entry->phys + (iova - node->start);
			*prot = entry->prot;
			*pgsize = node->last - node->start + 1;
		}
		mutex_unlock(&mock->lock);
	}
	mutex_unlock(&mock_lock);
	return node != NULL;
}

/* Change the driver's attachment without the layer's knowledge. */
void mock_put_pasid(unsigned int device, unsigned int pasid, struct iommu_domain *domain)
{
	struct mock_dev *mdev = mock_devs[device];

	if (domain)
		WARN_ON(xa_err(xa_store(&mdev->pasids, pasid, domain, GFP_KERNEL)));
	else
		xa_erase(&mdev->pasids, pasid);
}

long mock_entries(unsigned int device, unsigned int pasid)
{
	struct interval_tree_node *node;
	struct iommu_domain *domain;
	long count = -1;

	mutex_lock(&mock_lock);
	domain = mock_find_domain(device, pasid);
	if (domain && domain->ops == &mock_paging_ops) {
		struct mock_domain *mock = to_mock(domain);

		count = 0;
		mutex_lock(&mock->lock);
		for (node = interval_tree_iter_first(&mock->entries, 0, ULONG_MAX); node;
		     node = interval_tree_iter_next(node, 0, ULONG_MAX))
			count++;
		mutex_unlock(&mock->lock);
	}
	mutex_unlock(&mock_lock);
	return count;
}

int mock_rid_type(unsigned int device)
{
	struct iommu_domain *domain;
	int type;

	mutex_lock(&mock_lock);
	domain = mock_find_domain(device, 0);
	type = domain ? (int)domain->type : -1;
	mutex_unlock(&mock_lock);
	return type;
}

static const struct attribute_group *mock_groups[] = {
	&wd_iommu_group,
	NULL,
};

static int __init mock_iommu_init(void)
{
	int rc;

	mock_group = NULL;
	memset(&mock_counters, 0, sizeof(mock_counters));
	if (!mock_config.enabled)
		return 0;
	memset(&mock_instance, 0, sizeof(mock_instance));
	rc = iommu_device_sysfs_add(&mock_instance, NULL, mock_groups, "mock");
	if (rc)
		return rc;
	mock_forget_responses();
	rc = wd_iommu_register(&mock_instance, mock_config.nest ? &mock_nest_ops : &mock_wd_ops);
	if (rc)
		goto err_sysfs;
	rc = iommu_device_register(&mock_instance, &mock_ops, NULL);
	if (rc)
		goto err_layer;
	return 0;

err_layer:
	wd_iommu_unregister(&mock_instance);
err_sysfs:
	iommu_device_sysfs_remove(&mock_instance);
	return rc;
}

static void __exit mock_iommu_exit(void)
{
	if (!mock_config.enabled)
		return;
	iommu_device_unregister(&mock_instance);
	if (mock_group)
		iommu_group_put(mock_group);
	wd_iommu_unregister(&mock_instance);
	iommu_device_sysfs_remove(&mock_instance);
}

module_init(mock_iommu_init);
module_exit(mock_iommu_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("IOMMU for tests");
