/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of wd_iommufd_test: an IOMMU without hardware, its devices, and accesses. */
#ifndef _WD_IOMMUFD_TEST_H
#define _WD_IOMMUFD_TEST_H

#include <linux/iommu.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/xarray.h>

#include "iommu_pasid.h"
#include "iommu_viommu.h"
#include "iommufd_abi.h"

struct iommufd_ctx;
struct iommufd_device;
struct iopt_hold;

/**
 * struct wd_test_device - a device of MOCK_DOMAIN
 * @pdev: Linux's object, which this goes with
 * @flags: MOCK_FLAGS_DEVICE_NO_DIRTY ...
 * @ictx: context, which outlives it
 * @lock: for @idev, @pasids and the attachments
 * @idev: the bound device
 * @pasids: PASIDs that the command has attached
 * @domains: the layer's domains, by PASID; 0 is the requester id
 * @tables: the layer's nested tables, likewise
 * @fail_reserved: the next attachment at IOMMU_TEST_PASID_RESERVED fails
 * @faults: it may send page requests
 * @cache: slots that DEV_CHECK_CACHE looks at
 * @viommu: virtual IOMMU whose table is attached at the requester id, or NULL; under @event_lock
 * @virt_id: id of the device there when the table was attached
 * @event_lock: for those two
 */
struct wd_test_device {
	struct platform_device pdev;
	u32 flags;
	struct iommufd_ctx *ictx;
	struct mutex lock;
	struct iommufd_device *idev;
	struct xarray pasids;
	struct xarray domains;
	struct xarray tables;
	bool fail_reserved;
	bool faults;
	u32 cache[IOMMU_TEST_CACHE_SLOTS];
	struct wd_viommu *viommu;
	unsigned long virt_id;
	struct mutex event_lock;
};

/* --- iommufd_iommu.c --- */
int wd_test_iommu_init(void);
void wd_test_iommu_exit(void);

/* --- iommufd_domain.c --- */
int wd_test_domain_init(void);
void wd_test_domain_exit(void);
bool wd_test_is_domain(struct iommu_domain *domain);
unsigned long wd_test_page_size(struct iommu_domain *domain);
bool wd_test_tracks(struct iommu_domain *domain);
bool wd_test_domain_suits(struct iommu_domain *domain, const struct wd_test_device *device);
struct iommu_domain *wd_test_domain_alloc(unsigned int type);
struct iommu_domain *wd_test_domain_alloc_user(struct device *dev, u32 flags,
					       const struct wd_user_data *data);
int wd_test_read_dirty(struct iommu_domain *domain, const struct wd_dirty_read *read);
void wd_test_mark_dirty(struct iommu_domain *domain, u64 first, u64 last);
extern const struct iommu_domain_ops wd_test_paging_ops;

/* --- iommufd_nested.c --- */
struct wd_pgtable *wd_test_table_alloc(struct device *dev, struct iommu_domain *parent, u32 flags,
				       const struct wd_user_data *data);
void wd_test_table_free(struct wd_pgtable *table);
int wd_test_table_invalidate(struct wd_pgtable *table, u32 type, const void *entries, u32 entry_len,
			     u32 count, u32 *done);
struct wd_pgtable *wd_test_viommu_table_alloc(struct wd_viommu *viommu, u32 flags,
					      const struct wd_user_data *data);
/* The virtual IOMMU of a table, or NULL. */
struct wd_viommu *wd_test_table_viommu(struct wd_pgtable *table);
int wd_test_check_iotlb(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd);

/* --- iommufd_device.c --- */
void wd_test_device_exit(void);
struct wd_test_device *wd_test_device_of(struct device *dev);
int wd_test_mock_domain(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd, u32 flags);
int wd_test_mock_replace(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd);
int wd_test_pasid(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd);
int wd_test_trigger_iopf(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd);
int wd_test_check_cache(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd);

/* --- iommufd_viommu.c --- */
struct wd_viommu *wd_test_viommu_alloc(struct device *dev, struct iommu_domain *parent,
				       u64 region_offset, struct wd_user_data *user);
void wd_test_viommu_free(struct wd_viommu *viommu);
int wd_test_viommu_invalidate(struct wd_viommu *viommu, u32 type, const void *entries,
			      u32 entry_len, u32 count, u32 *done);
int wd_test_queue_add(struct wd_viommu *viommu, u32 index, phys_addr_t base, size_t length);
void wd_test_queue_remove(struct wd_viommu *viommu, u32 index);
int wd_test_trigger_vevent(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd);

/* --- iommufd_access.c --- */
int wd_test_access_create(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd, int *fd,
			  struct file **file);
int wd_test_access_pages(struct iommufd_ctx *ictx, struct iommu_test_cmd *cmd);
int wd_test_access_destroy_pages(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd);
int wd_test_access_rw(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd);
int wd_test_access_replace(struct iommufd_ctx *ictx, const struct iommu_test_cmd *cmd);

/* --- iommufd_dmabuf.c --- */
int wd_test_dmabuf_get(const struct iommu_test_cmd *cmd);
int wd_test_dmabuf_revoke(const struct iommu_test_cmd *cmd);

#endif /* _WD_IOMMUFD_TEST_H */
