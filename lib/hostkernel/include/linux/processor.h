/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_PROCESSOR_H
#define _LINUX_PROCESSOR_H

#include <linux/kernel.h>

#endif /* _LINUX_PROCESSOR_H */
