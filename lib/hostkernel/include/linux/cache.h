/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_CACHE_H
#define _LINUX_CACHE_H

#include <linux/init.h>

#define L1_CACHE_BYTES 64
#define SMP_CACHE_BYTES 64

#endif /* _LINUX_CACHE_H */
