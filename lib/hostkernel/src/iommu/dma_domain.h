/* SPDX-License-Identifier: GPL-2.0-only */
/* The DMA API over a domain: data of a domain of a DMA type. */
#pragma once

#include <linux/iommu.h>

namespace wd::hostkernel
{

/** Give @domain its cookie. @return whether there was memory. */
bool dmaCookieCreate(iommu_domain *domain);
/** Free the cookie, if there is one. Every mapping must be gone. */
void dmaCookieDestroy(iommu_domain *domain);

/** Turn a strict domain into one with a flush queue, while it is in use. */
void dmaStartFlushQueue(iommu_domain *domain);

} // namespace wd::hostkernel
