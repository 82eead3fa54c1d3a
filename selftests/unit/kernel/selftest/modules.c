// SPDX-License-Identifier: Apache-2.0
#include <linux/module.h>

WD_HOSTED_MODULE_DECLARE(wd_iommu)
WD_HOSTED_MODULE_DECLARE(iommufd)
WD_HOSTED_MODULE_DECLARE(wd_iommufd_test)
WD_HOSTED_MODULE_DECLARE(plain_dev)

const struct wd_module_entry wd_module_entries[] = {
	WD_HOSTED_MODULE_ENTRY(wd_iommu),
	WD_HOSTED_MODULE_ENTRY(iommufd),
	WD_HOSTED_MODULE_ENTRY(wd_iommufd_test),
	WD_HOSTED_MODULE_ENTRY(plain_dev),
	{0},
};
