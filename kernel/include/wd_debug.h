/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks that are too slow for everyday use. WD_DEBUG switches them on: the hosted build for tests
 * and the build for debug kernels (CONFIG_PROVE_LOCKING) define it.
 */
#ifndef _WD_DEBUG_H
#define _WD_DEBUG_H

#include <linux/bug.h>

#ifdef WD_DEBUG
#define WD_DEBUG_ON(_condition) WARN_ON(_condition)
#else
#define WD_DEBUG_ON(_condition) ((void)sizeof(!!(_condition)))
#endif

#endif /* _WD_DEBUG_H */
