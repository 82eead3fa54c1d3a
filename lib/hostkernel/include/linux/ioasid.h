/* SPDX-License-Identifier: GPL-2.0-only */
/* A PASID, which names an address space of a device. */
#ifndef _LINUX_IOASID_H
#define _LINUX_IOASID_H

#include <linux/types.h>

typedef unsigned int ioasid_t;

#endif /* _LINUX_IOASID_H */
