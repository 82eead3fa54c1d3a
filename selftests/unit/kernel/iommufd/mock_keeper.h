/* SPDX-License-Identifier: Apache-2.0 */
/* A driver without an IOMMU that breaks its contract: it keeps what it has pinned. */
#ifndef KERNEL_IOMMUFD_MOCK_KEEPER_H
#define KERNEL_IOMMUFD_MOCK_KEEPER_H

#include "mock.h"

struct iommufd_ctx;
struct mock_keeper;

/* Pin a page, as MOCK_KEEP. Return: ERR_PTR(-errno) */
struct mock_keeper *mock_keeper_open(struct iommufd_ctx *ictx, struct mock_keep *keep);
/* Give the page up and end. Return: how often it was asked to do that */
int mock_keeper_close(struct mock_keeper *keeper);

#endif
