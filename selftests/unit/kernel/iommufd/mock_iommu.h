/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the mock IOMMU: domains and devices, and nested tables. */
#ifndef KERNEL_IOMMUFD_MOCK_IOMMU_H
#define KERNEL_IOMMUFD_MOCK_IOMMU_H

#include <linux/xarray.h>

#include "iommu_pasid.h"

struct mock_dev {
	struct device *dev;
	unsigned int index;
	struct iommu_domain *rid; /* of the core */
	struct xarray pasids;	  /* the layer's domains, 0: of the requester id */
	struct xarray tables;	  /* struct mock_pgtable, 0: of the requester id */
	int faults;		  /* may send page requests */
};

/* Page requests read it without a lock. */
void mock_set_rid(struct mock_dev *mdev, struct iommu_domain *domain);
bool mock_fails(unsigned int *countdown);

struct wd_pgtable *mock_pgtable_alloc(struct device *dev, struct iommu_domain *parent, u32 flags,
				      const struct wd_user_data *data);
void mock_pgtable_free(struct wd_pgtable *table);
/* The entry of mock_dev.tables for it; and its parent, or NULL. */
void *mock_table_object(struct wd_pgtable *table);
struct iommu_domain *mock_table_parent(struct mock_dev *mdev, unsigned int pasid);
int mock_bind_pgtable(struct wd_pgtable *table, struct device *dev, ioasid_t pasid);
void mock_unbind_pgtable(struct wd_pgtable *table, struct device *dev, ioasid_t pasid);
int mock_cache_invalidate(struct wd_pgtable *table, u32 type, const void *entries, u32 entry_len,
			  u32 count, u32 *done);
u32 mock_fault_credits(struct device *dev);
int mock_faults_enable(struct device *dev);
void mock_faults_disable(struct device *dev);
void mock_faults_sync(struct device *dev);
void mock_reset(struct device *dev);
void mock_page_response(struct device *dev, bool has_pasid, ioasid_t pasid, u16 grpid,
			enum wd_fault_code code);

/* The page request queue: a device comes or goes, and a wait for requests in flight. */
void mock_queue_open(struct mock_dev *mdev);
void mock_queue_close(struct mock_dev *mdev);
void mock_queue_drain(void);
struct device *mock_last_device(unsigned int index);

#endif
