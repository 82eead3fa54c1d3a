// SPDX-License-Identifier: Apache-2.0
/*
 * The mock IOMMU's user-managed tables and page requests. A table is only the address that its user
 * gave. Threads of a test send page requests.
 */
#include <hosted/test_hooks.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "mock.h"
#include "mock_iommu.h"

struct mock_pgtable {
	struct wd_pgtable table;
	u64 address;
};

/* Held for reading while a page request is on its way from a device to the layer. */
static DECLARE_RWSEM(mock_queue);
static struct mock_dev *mock_queue_devs[32];
static struct device *mock_last_devices[32];

static DEFINE_SPINLOCK(mock_response_lock);
static struct mock_response mock_responses[1 << 17];
static unsigned int mock_response_count;

static struct mock_pgtable *to_pgtable(struct wd_pgtable *table)
{
	return container_of(table, struct mock_pgtable, table);
}

static void mock_count(unsigned long *counter, long change)
{
	__atomic_fetch_add(counter, change, __ATOMIC_RELAXED);
}

struct wd_pgtable *mock_pgtable_alloc(struct device *dev, struct iommu_domain *parent, u32 flags,
				      const struct wd_user_data *data)
{
	const struct iommu_hwpt_vtd_s1 *s1 = (const struct iommu_hwpt_vtd_s1 *)data->data;
	struct mock_pgtable *mock;

	if (flags & ~IOMMU_HWPT_ALLOC_PASID || data->type != IOMMU_HWPT_DATA_VTD_S1)
		return ERR_PTR(-EOPNOTSUPP);
	if (data->len != sizeof(*s1) || s1->addr_width != 48)
		return ERR_PTR(-EINVAL);
	mock = kzalloc(sizeof(*mock), GFP_KERNEL);
	if (!mock)
		return ERR_PTR(-ENOMEM);
	mock->address = s1->pgtbl_addr;
	mock_count(&mock_counters.tables, 1);
	return &mock->table;
}

void mock_pgtable_free(struct wd_pgtable *table)
{
	WARN_ON(table->binds);
	mock_count(&mock_counters.tables, -1);
	kfree(to_pgtable(table));
}

void *mock_table_object(struct wd_pgtable *table)
{
	return to_pgtable(table);
}

struct iommu_domain *mock_table_parent(struct mock_dev *mdev, unsigned int pasid)
{
	struct mock_pgtable *mock = xa_load(&mdev->tables, pasid);

	return mock ? mock->table.parent : NULL;
}

int mock_bind_pgtable(struct wd_pgtable *table, struct device *dev, ioasid_t pasid)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	if (mock_fails(&mock_config.fail_attach))
		return -ENOSPC;
	WARN_ON(pasid == IOMMU_NO_PASID && mdev->rid != table->parent &&
		mdev->rid->type != IOMMU_DOMAIN_BLOCKED);
	WARN_ON(pasid != IOMMU_NO_PASID && xa_load(&mdev->pasids, pasid));
	WARN_ON(xa_load(&mdev->tables, pasid));
	return xa_err(xa_store(&mdev->tables, pasid, to_pgtable(table), GFP_KERNEL));
}

void mock_unbind_pgtable(struct wd_pgtable *table, struct device *dev, ioasid_t pasid)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	WARN_ON(xa_erase(&mdev->tables, pasid) != to_pgtable(table));
	mock_queue_drain();
}

static int mock_invalidate(const struct iommu_hwpt_vtd_s1_invalidate *entry)
{
	if (entry->flags & ~IOMMU_VTD_INV_FLAGS_LEAF || entry->__reserved)
		return -EOPNOTSUPP;
	if (entry->addr & 0xfff || (entry->npages == U64_MAX && entry->addr))
		return -EINVAL;
	mock_count(&mock_counters.invalidations, 1);
	if (entry->npages == U64_MAX)
		mock_count(&mock_counters.invalidate_all, 1);
	return 0;
}

int mock_cache_invalidate(struct wd_pgtable *table, u32 type, const void *entries, u32 entry_len,
			  u32 count, u32 *done)
{
	const struct iommu_hwpt_vtd_s1_invalidate *entry = entries;
	int rc = 0;

	mock_count(&mock_counters.invalidate_calls, 1);
	if (type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1)
		return -EINVAL;
	if (count && entry_len != sizeof(*entry))
		return -EINVAL;
	for (; *done < count; (*done)++, entry++) {
		rc = mock_invalidate(entry);
		if (rc)
			break;
	}
	return rc;
}

/* --- page requests --- */

void mock_queue_open(struct mock_dev *mdev)
{
	down_write(&mock_queue);
	mock_queue_devs[mdev->index] = mdev;
	mock_last_devices[mdev->index] = mdev->dev;
	up_write(&mock_queue);
}

void mock_queue_close(struct mock_dev *mdev)
{
	down_write(&mock_queue);
	mock_queue_devs[mdev->index] = NULL;
	up_write(&mock_queue);
}

/* After an entry was removed: returns when all earlier requests have been reported. */
void mock_queue_drain(void)
{
	down_write(&mock_queue);
	up_write(&mock_queue);
}

struct device *mock_last_device(unsigned int index)
{
	return mock_last_devices[index];
}

u32 mock_fault_credits(struct device *dev)
{
	return mock_config.fault_credits;
}

int mock_faults_enable(struct device *dev)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	if (mock_fails(&mock_config.fail_faults))
		return -ENOSPC;
	WARN_ON(mdev->faults);
	mock_count(&mock_counters.faults_enabled, 1);
	down_write(&mock_queue);
	mdev->faults = 1;
	up_write(&mock_queue);
	return 0;
}

void mock_faults_disable(struct device *dev)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);

	WARN_ON(!mdev->faults);
	mock_count(&mock_counters.faults_enabled, -1);
	down_write(&mock_queue);
	mdev->faults = 0;
	up_write(&mock_queue);
}

void (*mock_on_sync)(void);

void mock_faults_sync(struct device *dev)
{
	mock_queue_drain();
	if (mock_on_sync)
		mock_on_sync();
}

/* Nothing to do: a mock function has no state. */
void mock_reset(struct device *dev) {}

void (*mock_on_response)(void);

void mock_page_response(struct device *dev, bool has_pasid, ioasid_t pasid, u16 grpid,
			enum wd_fault_code code)
{
	struct mock_dev *mdev = dev_iommu_priv_get(dev);
	struct mock_response response = {mdev->index, has_pasid, pasid, grpid, code};

	if (mock_on_response)
		mock_on_response();
	spin_lock(&mock_response_lock);
	if (!WARN_ON(mock_response_count == ARRAY_SIZE(mock_responses)))
		mock_responses[mock_response_count++] = response;
	spin_unlock(&mock_response_lock);
}

void mock_set_rid(struct mock_dev *mdev, struct iommu_domain *domain)
{
	__atomic_store_n(&mdev->rid, domain, __ATOMIC_RELAXED);
}

static bool mock_may_request(struct mock_dev *mdev, const struct mock_request *request)
{
	unsigned int pasid = request->has_pasid ? request->pasid : 0;

	if (request->forced)
		return true;
	if (!mdev->faults)
		return false;
	if (xa_load(&mdev->tables, pasid))
		return true;
	return xa_load(&mdev->pasids, pasid) ||
	       (!pasid && __atomic_load_n(&mdev->rid, __ATOMIC_RELAXED));
}

enum mock_verdict mock_ask(const struct mock_request *request)
{
	struct wd_fault fault = {
		.addr = request->addr,
		.pasid = request->pasid,
		.grpid = request->grpid,
		.perm = request->perm,
		.flags = (request->has_pasid ? WD_FAULT_PASID_VALID : 0) |
			 (request->last ? WD_FAULT_LAST_PAGE : 0),
	};
	enum mock_verdict verdict = MOCK_REFUSED;
	struct mock_dev *mdev;

	down_read(&mock_queue);
	mdev = mock_queue_devs[request->device];
	if (mdev && mock_may_request(mdev, request))
		verdict = wd_iommu_report_fault(mdev->dev, &fault) ? MOCK_TAKEN : MOCK_UNHANDLED;
	up_read(&mock_queue);
	return verdict;
}

unsigned int mock_nr_responses(void)
{
	unsigned int count;

	spin_lock(&mock_response_lock);
	count = mock_response_count;
	spin_unlock(&mock_response_lock);
	return count;
}

struct mock_response mock_response_at(unsigned int index)
{
	struct mock_response response = {.code = -1};

	spin_lock(&mock_response_lock);
	if (index < mock_response_count)
		response = mock_responses[index];
	spin_unlock(&mock_response_lock);
	return response;
}

void mock_forget_responses(void)
{
	spin_lock(&mock_response_lock);
	mock_response_count = 0;
	spin_unlock(&mock_response_lock);
}

long long mock_table_at(unsigned int device, unsigned int pasid)
{
	struct mock_pgtable *mock = NULL;
	struct mock_dev *mdev;
	long long address = -1;

	down_read(&mock_queue);
	mdev = mock_queue_devs[device];
	if (mdev)
		mock = xa_load(&mdev->tables, pasid);
	if (mock)
		address = mock->address;
	up_read(&mock_queue);
	return address;
}
