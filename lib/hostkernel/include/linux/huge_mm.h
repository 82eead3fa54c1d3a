/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_HUGE_MM_H
#define _LINUX_HUGE_MM_H

#include <linux/mm_types.h>

/* Memory of a process may be mapped with 2 MiB pages. */
#ifndef CONFIG_TRANSPARENT_HUGEPAGE
#define CONFIG_TRANSPARENT_HUGEPAGE 1
#endif
#define HPAGE_PMD_SHIFT 21
#define HPAGE_PMD_SIZE (1UL << HPAGE_PMD_SHIFT)
#define HPAGE_PMD_ORDER (HPAGE_PMD_SHIFT - PAGE_SHIFT)

#endif /* _LINUX_HUGE_MM_H */
