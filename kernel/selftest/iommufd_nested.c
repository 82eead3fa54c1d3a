// SPDX-License-Identifier: GPL-2.0-only
/* Nested tables of the IOMMU without hardware: a few words that stand for its cache. */
#include <linux/iommufd.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iommufd_hook.h"
#include "iommufd_test.h"

struct wd_test_table {
	struct wd_pgtable table;
	struct wd_viommu *viommu;
	u32 iotlb[IOMMU_TEST_IOTLB_SLOTS];
};

static struct wd_test_table *wd_test_table_of(struct wd_pgtable *table)
{
	return container_of(table, struct wd_test_table, table);
}

struct wd_viommu *wd_test_table_viommu(struct wd_pgtable *table)
{
	return wd_test_table_of(table)->viommu;
}

struct wd_pgtable *wd_test_viommu_table_alloc(struct wd_viommu *viommu, u32 flags,
					      const struct wd_user_data *data)
{
	const struct iommu_hwpt_selftest *selftest = (const struct iommu_hwpt_selftest *)data->data;
	struct wd_test_table *mock;
	unsigned int i;

	if (flags & ~IOMMU_HWPT_ALLOC_PASID || data->type != IOMMU_HWPT_DATA_SELFTEST)
		return ERR_PTR(-EOPNOTSUPP);
	if (data->len < sizeof(selftest->iotlb) || data->len > sizeof(*selftest))
		return ERR_PTR(-EINVAL);
	mock = kzalloc(sizeof(*mock), GFP_KERNEL_ACCOUNT);
	if (!mock)
		return ERR_PTR(-ENOMEM);
	mock->viommu = viommu;
	for (i = 0; i < IOMMU_TEST_IOTLB_SLOTS; i++)
		mock->iotlb[i] = selftest->iotlb;
	return &mock->table;
}

struct wd_pgtable *wd_test_table_alloc(struct device *dev, struct iommu_domain *parent, u32 flags,
				       const struct wd_user_data *data)
{
	return wd_test_viommu_table_alloc(NULL, flags, data);
}

void wd_test_table_free(struct wd_pgtable *table)
{
	kfree(wd_test_table_of(table));
}

static int wd_test_invalidate(struct wd_test_table *mock,
			      const struct iommu_hwpt_invalidate_selftest *entry)
{
	unsigned int i;

	if (entry->flags & ~IOMMU_TEST_INVALIDATE_ALL)
		return -EOPNOTSUPP;
	if (entry->iotlb_id >= IOMMU_TEST_IOTLB_SLOTS)
		return -EINVAL;
	for (i = 0; i < IOMMU_TEST_IOTLB_SLOTS; i++)
		if (i == entry->iotlb_id || entry->flags & IOMMU_TEST_INVALIDATE_ALL)
			WRITE_ONCE(mock->iotlb[i], 0);
	return 0;
}

int wd_test_table_invalidate(struct wd_pgtable *table, u32 type, const void *entries, u32 entry_len,
			     u32 count, u32 *done)
{
	const struct iommu_hwpt_invalidate_selftest *entry = entries;
	int rc = 0;

	if (type != IOMMU_HWPT_INVALIDATE_DATA_SELFTEST)
		return -EINVAL;
	if (count && entry_len != sizeof(*entry))
		return -EINVAL;
	for (; *done < count && !rc; entry++) {
		rc = wd_test_invalidate(wd_test_table_of(table), entry);
		if (!rc)
			++*done;
	}
	return rc;
}

int wd_test_check_iotlb(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd)
{
	struct iommufd_object *obj;
	struct wd_pgtable *table;
	int rc = 0;

	obj = iommufd_hook_get_table(ictx, cmd->id, &table);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (cmd->check_iotlb.id >= IOMMU_TEST_IOTLB_SLOTS ||
	    READ_ONCE(wd_test_table_of(table)->iotlb[cmd->check_iotlb.id]) !=
		    cmd->check_iotlb.iotlb)
		rc = -EINVAL;
	iommufd_hook_put(ictx, obj);
	return rc;
}
