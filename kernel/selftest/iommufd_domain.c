// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains of the IOMMU without hardware. A page table is a tree with an entry for each page that was
 * written. Pages that devices have written are in a table of their own, by their number: of
 * MOCK_PAGE_SIZE, or of MOCK_HUGE_PAGE_SIZE if the entry is as large.
 */
#include <linux/interval_tree.h>
#include <linux/iommufd.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iommufd_test.h"

/* Sizes of the default type: 2 KiB to 64 GiB. */
#define WD_TEST_PAGE_SIZES GENMASK(36, 11)

/* A page that was written, or a place for one. */
struct wd_test_entry {
	union {
		struct interval_tree_node node;
		struct list_head free;
	};
	phys_addr_t phys;
};

/* Entries are allocated by the page, as in page tables of hardware. */
#define WD_TEST_CHUNK 63

struct wd_test_chunk {
	struct list_head item;
	struct wd_test_entry entries[WD_TEST_CHUNK];
};

/**
 * struct wd_test_domain - a page table
 * @domain: Linux's object
 * @tracks: made for dirty tracking
 * @lock: for the rest
 * @entries: wd_test_entry.node
 * @chunks: struct wd_test_chunk, which stay until the end
 * @free: wd_test_entry.free
 * @dirty: numbers of the dirty pages
 */
struct wd_test_domain {
	struct iommu_domain domain;
	bool tracks;
	spinlock_t lock;
	struct rb_root_cached entries;
	struct list_head chunks;
	struct list_head free;
	struct xarray dirty;
};

static struct wd_test_domain *wd_test_domain_of(struct iommu_domain *domain)
{
	return container_of(domain, struct wd_test_domain, domain);
}

static struct wd_test_entry *wd_test_entry_at(struct wd_test_domain *mock, unsigned long first,
					      unsigned long last)
{
	struct interval_tree_node *node = interval_tree_iter_first(&mock->entries, first, last);

	return node ? container_of(node, struct wd_test_entry, node) : NULL;
}

/* Take a free entry. Return: NULL without memory */
static struct wd_test_entry *wd_test_entry_alloc(struct wd_test_domain *mock, gfp_t gfp)
{
	struct wd_test_entry *entry;
	struct wd_test_chunk *chunk;
	unsigned int i;

	spin_lock(&mock->lock);
	entry = list_first_entry_or_null(&mock->free, struct wd_test_entry, free);
	if (entry)
		list_del(&entry->free);
	spin_unlock(&mock->lock);
	if (entry)
		return entry;
	chunk = kmalloc(sizeof(*chunk), gfp);
	if (!chunk)
		return NULL;
	spin_lock(&mock->lock);
	list_add(&chunk->item, &mock->chunks);
	for (i = 1; i < WD_TEST_CHUNK; i++)
		list_add(&chunk->entries[i].free, &mock->free);
	spin_unlock(&mock->lock);
	return &chunk->entries[0];
}

static void wd_test_entry_free(struct wd_test_domain *mock, struct wd_test_entry *entry)
{
	spin_lock(&mock->lock);
	list_add(&entry->free, &mock->free);
	spin_unlock(&mock->lock);
}

static int wd_test_map_pages(struct iommu_domain *domain, unsigned long iova, phys_addr_t paddr,
			     size_t pgsize, size_t pgcount, int prot, gfp_t gfp, size_t *mapped)
{
	struct wd_test_domain *mock = wd_test_domain_of(domain);

	while (pgcount--) {
		struct wd_test_entry *entry = wd_test_entry_alloc(mock, gfp);
		bool taken;

		if (!entry)
			return -ENOMEM;
		entry->node.start = iova;
		entry->node.last = iova + pgsize - 1;
		entry->phys = paddr;
		spin_lock(&mock->lock);
		taken = wd_test_entry_at(mock, iova, entry->node.last);
		if (!taken)
			interval_tree_insert(&entry->node, &mock->entries);
		spin_unlock(&mock->lock);
		if (WARN_ON(taken)) {
			wd_test_entry_free(mock, entry);
			return -EADDRINUSE;
		}
		iova += pgsize;
		paddr += pgsize;
		*mapped += pgsize;
	}
	return 0;
}

static void wd_test_clean(struct wd_test_domain *mock, unsigned long first, unsigned long last)
{
	unsigned long number = first / MOCK_PAGE_SIZE;
	void *entry;

	xa_for_each_range (&mock->dirty, number, entry, number, last / MOCK_PAGE_SIZE)
		xa_erase(&mock->dirty, number);
}

static size_t wd_test_unmap_pages(struct iommu_domain *domain, unsigned long iova, size_t pgsize,
				  size_t pgcount, struct iommu_iotlb_gather *gather)
{
	struct wd_test_domain *mock = wd_test_domain_of(domain);
	unsigned long last = iova + pgsize * pgcount - 1;
	struct wd_test_entry *entry;
	size_t done = 0;

	while (done < pgsize * pgcount) {
		spin_lock(&mock->lock);
		entry = wd_test_entry_at(mock, iova + done, last);
		if (entry && entry->node.start == iova + done && entry->node.last <= last)
			interval_tree_remove(&entry->node, &mock->entries);
		else
			entry = NULL;
		spin_unlock(&mock->lock);
		if (!entry)
			break;
		wd_test_clean(mock, entry->node.start, entry->node.last);
		done += entry->node.last - entry->node.start + 1;
		wd_test_entry_free(mock, entry);
	}
	return done;
}

static phys_addr_t wd_test_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	struct wd_test_domain *mock = wd_test_domain_of(domain);
	struct wd_test_entry *entry;
	phys_addr_t phys = 0;

	spin_lock(&mock->lock);
	entry = wd_test_entry_at(mock, iova, iova);
	if (entry)
		phys = entry->phys + (iova - entry->node.start);
	spin_unlock(&mock->lock);
	return phys;
}

/* The page that has @iova, as dirty tracking sees it. Return: false if there is none. */
static bool wd_test_dirty_page(struct wd_test_domain *mock, unsigned long iova, u64 *first,
			       u64 *last)
{
	struct wd_test_entry *entry;

	spin_lock(&mock->lock);
	entry = wd_test_entry_at(mock, iova, iova);
	if (entry && entry->node.last - entry->node.start + 1 == MOCK_HUGE_PAGE_SIZE &&
	    mock->domain.geometry.aperture_end == MOCK_HUGE_APERTURE_LAST) {
		*first = entry->node.start;
		*last = entry->node.last;
	} else {
		*first = round_down(iova, MOCK_PAGE_SIZE);
		*last = *first + MOCK_PAGE_SIZE - 1;
	}
	spin_unlock(&mock->lock);
	return entry;
}

void wd_test_mark_dirty(struct iommu_domain *domain, u64 first, u64 last)
{
	struct wd_test_domain *mock = wd_test_domain_of(domain);
	u64 page_first, page_last;

	while (first <= last) {
		page_last = first | (MOCK_PAGE_SIZE - 1);
		if (wd_test_dirty_page(mock, first, &page_first, &page_last))
			WARN_ON(xa_err(xa_store(&mock->dirty, page_first / MOCK_PAGE_SIZE,
						xa_mk_value(1), GFP_KERNEL)));
		if (page_last >= last)
			break;
		first = page_last + 1;
	}
}

int wd_test_read_dirty(struct iommu_domain *domain, const struct wd_dirty_read *read)
{
	struct wd_test_domain *mock = wd_test_domain_of(domain);
	/* A huge page may begin before the range. */
	unsigned long number = round_down(read->first, MOCK_HUGE_PAGE_SIZE) / MOCK_PAGE_SIZE;
	u64 first, last;
	void *entry;

	xa_for_each_range (&mock->dirty, number, entry, number, read->last / MOCK_PAGE_SIZE) {
		if (!wd_test_dirty_page(mock, number * MOCK_PAGE_SIZE, &first, &last) ||
		    last < read->first)
			continue;
		if (read->clear && first >= read->first && last <= read->limit)
			xa_erase(&mock->dirty, number);
		if (read->report)
			read->report(read->arg, max(first, read->first), min(last, read->limit));
	}
	return 0;
}

static void wd_test_domain_free(struct iommu_domain *domain)
{
	struct wd_test_domain *mock = wd_test_domain_of(domain);
	struct wd_test_chunk *chunk, *next;

	WARN_ON(!RB_EMPTY_ROOT(&mock->entries.rb_root));
	WARN_ON(!xa_empty(&mock->dirty));
	if (!wd_iommu_domain_released(domain))
		return;
	xa_destroy(&mock->dirty);
	list_for_each_entry_safe (chunk, next, &mock->chunks, item)
		kfree(chunk);
	kfree(mock);
}

bool wd_test_is_domain(struct iommu_domain *domain)
{
	return domain->ops == &wd_test_paging_ops;
}

bool wd_test_tracks(struct iommu_domain *domain)
{
	return wd_test_domain_of(domain)->tracks;
}

/* May the requester id of a device be attached to it? */
bool wd_test_domain_suits(struct iommu_domain *domain, const struct wd_test_device *device)
{
	return !wd_test_is_domain(domain) || !wd_test_domain_of(domain)->tracks ||
	       !(device->flags & MOCK_FLAGS_DEVICE_NO_DIRTY);
}

unsigned long wd_test_page_size(struct iommu_domain *domain)
{
	return 1UL << __ffs(domain->pgsize_bitmap);
}

static int wd_test_attach_dev(struct iommu_domain *domain, struct device *dev)
{
	struct wd_test_device *device = wd_test_device_of(dev);

	if (!wd_test_domain_suits(domain, device))
		return -EINVAL;
	xa_erase(&device->domains, IOMMU_NO_PASID);
	xa_erase(&device->tables, IOMMU_NO_PASID);
	return wd_iommu_note_rid(domain, dev);
}

const struct iommu_domain_ops wd_test_paging_ops = {
	.attach_dev = wd_test_attach_dev,
	.map_pages = wd_test_map_pages,
	.unmap_pages = wd_test_unmap_pages,
	.iova_to_phys = wd_test_iova_to_phys,
	.free = wd_test_domain_free,
};

/*
 * These exist as long as the module: if the core cannot allocate a default domain for a device, it
 * warns when it wants to go back to that domain (Linux 6.1).
 */
static void wd_test_static_free(struct iommu_domain *domain) {}

static const struct iommu_domain_ops wd_test_static_ops = {
	.attach_dev = wd_test_attach_dev,
	.free = wd_test_static_free,
};

static struct iommu_domain wd_test_identity, wd_test_blocked;

static int wd_test_static_init(struct iommu_domain *domain, unsigned int type)
{
	memset(domain, 0, sizeof(*domain));
	domain->type = type;
	domain->ops = &wd_test_static_ops;
	return wd_iommu_domain_created(domain);
}

int wd_test_domain_init(void)
{
	int rc;

	rc = wd_test_static_init(&wd_test_identity, IOMMU_DOMAIN_IDENTITY);
	if (rc)
		return rc;
	rc = wd_test_static_init(&wd_test_blocked, IOMMU_DOMAIN_BLOCKED);
	if (rc)
		wd_iommu_domain_released(&wd_test_identity);
	return rc;
}

void wd_test_domain_exit(void)
{
	wd_iommu_domain_released(&wd_test_blocked);
	wd_iommu_domain_released(&wd_test_identity);
}

static struct wd_test_domain *wd_test_paging_alloc(bool huge)
{
	struct wd_test_domain *mock = kzalloc(sizeof(*mock), GFP_KERNEL_ACCOUNT);

	if (!mock)
		return NULL;
	spin_lock_init(&mock->lock);
	mock->entries = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&mock->chunks);
	INIT_LIST_HEAD(&mock->free);
	xa_init(&mock->dirty);
	mock->domain.type = IOMMU_DOMAIN_UNMANAGED;
	mock->domain.ops = &wd_test_paging_ops;
	mock->domain.pgsize_bitmap = huge ? PAGE_SIZE | MOCK_HUGE_PAGE_SIZE : WD_TEST_PAGE_SIZES;
	mock->domain.geometry.aperture_start = huge ? 0 : MOCK_APERTURE_START;
	mock->domain.geometry.aperture_end = huge ? MOCK_HUGE_APERTURE_LAST : MOCK_APERTURE_LAST;
	mock->domain.geometry.force_aperture = true;
	if (wd_iommu_domain_created(&mock->domain)) {
		kfree(mock);
		return NULL;
	}
	return mock;
}

struct iommu_domain *wd_test_domain_alloc(unsigned int type)
{
	struct wd_test_domain *mock;

	if (type == IOMMU_DOMAIN_BLOCKED)
		return &wd_test_blocked;
	if (type == IOMMU_DOMAIN_IDENTITY)
		return &wd_test_identity;
	if (type != IOMMU_DOMAIN_UNMANAGED)
		return NULL;
	mock = wd_test_paging_alloc(false);
	return mock ? &mock->domain : NULL;
}

static int wd_test_check_data(const struct wd_user_data *data, bool *huge)
{
	const struct iommu_hwpt_selftest *selftest;

	*huge = false;
	if (!data)
		return 0;
	if (data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	if (data->len < sizeof(u32) || data->len > sizeof(*selftest))
		return -EINVAL;
	selftest = (const struct iommu_hwpt_selftest *)data->data;
	if (selftest->pagetable_type > MOCK_IOMMUPT_HUGE)
		return -EOPNOTSUPP;
	*huge = selftest->pagetable_type == MOCK_IOMMUPT_HUGE;
	return 0;
}

struct iommu_domain *wd_test_domain_alloc_user(struct device *dev, u32 flags,
					       const struct wd_user_data *data)
{
	const u32 known = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			  IOMMU_HWPT_ALLOC_PASID;
	struct wd_test_domain *mock;
	bool huge;
	int rc;

	if (flags & ~known || (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING &&
			       wd_test_device_of(dev)->flags & MOCK_FLAGS_DEVICE_NO_DIRTY))
		return ERR_PTR(-EOPNOTSUPP);
	rc = wd_test_check_data(data, &huge);
	if (rc)
		return ERR_PTR(rc);
	mock = wd_test_paging_alloc(huge);
	if (!mock)
		return ERR_PTR(-ENOMEM);
	mock->tracks = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	return &mock->domain;
}
