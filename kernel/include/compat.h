/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one place that tests kernel versions. Sources are written for the API of Linux 6.1; what
 * changed later is mapped here, one wrapper per API (linux-iommu-core sheet, a11).
 */
#ifndef _WD_COMPAT_H
#define _WD_COMPAT_H

#include <linux/version.h>

#endif /* _WD_COMPAT_H */
