// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual IOMMUs without hardware: two pages that the user may map, caches of devices that are a few
 * words, queues that nobody reads, and events on request.
 */
#include <linux/gfp.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iommufd_hook.h"
#include "iommufd_test.h"

#define WD_TEST_REGION_ORDER 1

struct wd_test_viommu {
	struct wd_viommu viommu;
	unsigned long region;
};

static struct wd_test_viommu *wd_test_viommu_of(struct wd_viommu *viommu)
{
	return container_of(viommu, struct wd_test_viommu, viommu);
}

/* With data the user gets a region, whose first word is the one that it gave. */
static int wd_test_add_region(struct wd_test_viommu *mock, u64 offset, struct wd_user_data *user)
{
	struct iommu_viommu_selftest *data = (struct iommu_viommu_selftest *)user->data;

	if (user->len != sizeof(*data))
		return -EINVAL;
	mock->region = __get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO, WD_TEST_REGION_ORDER);
	if (!mock->region)
		return -ENOMEM;
	*(u32 *)mock->region = data->in_data;
	data->out_data = data->in_data;
	data->out_mmap_offset = offset;
	data->out_mmap_length = PAGE_SIZE << WD_TEST_REGION_ORDER;
	mock->viommu.region_pfn = page_to_pfn(virt_to_page((void *)mock->region));
	mock->viommu.region_length = data->out_mmap_length;
	return 0;
}

struct wd_viommu *wd_test_viommu_alloc(struct device *dev, struct iommu_domain *parent,
				       u64 region_offset, struct wd_user_data *user)
{
	struct wd_test_viommu *mock = kzalloc(sizeof(*mock), GFP_KERNEL_ACCOUNT);
	int rc;

	if (!mock)
		return ERR_PTR(-ENOMEM);
	rc = user ? wd_test_add_region(mock, region_offset, user) : 0;
	if (rc) {
		kfree(mock);
		return ERR_PTR(rc);
	}
	return &mock->viommu;
}

void wd_test_viommu_free(struct wd_viommu *viommu)
{
	struct wd_test_viommu *mock = wd_test_viommu_of(viommu);

	if (mock->region)
		free_pages(mock->region, WD_TEST_REGION_ORDER);
	kfree(mock);
}

/* Entries may be shorter, or longer with zeros, as structures of system calls. */
static int wd_test_read_entry(struct iommu_viommu_invalidate_selftest *entry, const u8 *from,
			      u32 length)
{
	memset(entry, 0, sizeof(*entry));
	memcpy(entry, from, min_t(u32, length, sizeof(*entry)));
	if (length > sizeof(*entry) &&
	    memchr_inv(from + sizeof(*entry), 0, length - sizeof(*entry)))
		return -E2BIG;
	return 0;
}

static int wd_test_invalidate_entry(struct wd_viommu *viommu,
				    const struct iommu_viommu_invalidate_selftest *entry)
{
	struct wd_test_device *device;
	struct device *dev;
	unsigned int i;

	if (entry->flags & ~IOMMU_TEST_INVALIDATE_ALL)
		return -EOPNOTSUPP;
	if (entry->cache_id >= IOMMU_TEST_CACHE_SLOTS)
		return -EINVAL;
	dev = wd_viommu_find_device(viommu, entry->vdev_id);
	if (!dev)
		return -EINVAL;
	device = wd_test_device_of(dev);
	for (i = 0; i < IOMMU_TEST_CACHE_SLOTS; i++)
		if (i == entry->cache_id || entry->flags & IOMMU_TEST_INVALIDATE_ALL)
			WRITE_ONCE(device->cache[i], 0);
	return 0;
}

int wd_test_viommu_invalidate(struct wd_viommu *viommu, u32 type, const void *entries,
			      u32 entry_len, u32 count, u32 *done)
{
	struct iommu_viommu_invalidate_selftest entry;
	const u8 *at = entries;
	int rc = 0;

	if (type != IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST)
		return -EINVAL;
	for (; *done < count && !rc; at += entry_len) {
		rc = wd_test_read_entry(&entry, at, entry_len);
		if (!rc)
			rc = wd_test_invalidate_entry(viommu, &entry);
		if (!rc)
			++*done;
	}
	return rc;
}

int wd_test_queue_add(struct wd_viommu *viommu, u32 index, phys_addr_t base, size_t length)
{
	return 0;
}

void wd_test_queue_remove(struct wd_viommu *viommu, u32 index) {}

int wd_test_trigger_vevent(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd)
{
	struct iommu_viommu_event_selftest event = {};
	struct wd_test_device *device;
	struct iommufd_object *obj;
	struct device *dev;
	int rc = -ENOENT;

	obj = iommufd_hook_get_device(ictx, cmd->trigger_vevent.dev_id, &dev);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	device = wd_test_device_of(dev);
	if (device) {
		/* While the table is attached its virtual IOMMU stays. */
		mutex_lock(&device->event_lock);
		event.virt_id = device->virt_id;
		if (device->viommu && event.virt_id)
			rc = wd_viommu_report(device->viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, &event,
					      sizeof(event));
		mutex_unlock(&device->event_lock);
	}
	iommufd_hook_put(ictx, obj);
	return rc;
}
