// SPDX-License-Identifier: Apache-2.0
#include <linux/module.h>

WD_HOSTED_MODULE_DECLARE(wd_iommu)
WD_HOSTED_MODULE_DECLARE(iommufd)
WD_HOSTED_MODULE_DECLARE(mock_iommu)
WD_HOSTED_MODULE_DECLARE(mock_dev)

const struct wd_module_entry wd_module_entries[] = {
	WD_HOSTED_MODULE_ENTRY(wd_iommu),
	WD_HOSTED_MODULE_ENTRY(iommufd),
	WD_HOSTED_MODULE_ENTRY(mock_iommu),
	WD_HOSTED_MODULE_ENTRY(mock_dev),
	{0},
};
