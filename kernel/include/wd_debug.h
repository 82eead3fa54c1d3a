/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks that cost more than they should in everyday use: on with WD_DEBUG, which the hosted build
 * of tests and debug kernels (CONFIG_PROVE_LOCKING) define.
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
