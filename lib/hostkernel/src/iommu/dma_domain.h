/* SPDX-License-Identifier: GPL-2.0-only */
/* The DMA API in a domain: the data that a domain of a DMA type needs for it. */
#pragma once

#include <linux/iommu.h>

namespace wd::hostkernel
{

/** Allocate the cookie of @domain. @return false without memory. */
bool dmaCookieCreate(iommu_domain *domain);
/** Free the cookie, if there is one. Nothing may be mapped any more. */
void dmaCookieDestroy(iommu_domain *domain);

/** Turn a strict domain into one with a flush queue. It may be in use. */
void dmaStartFlushQueue(iommu_domain *domain);

} // namespace wd::hostkernel
