/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_MMAN_H
#define _LINUX_MMAN_H

/* The C library's headers may have defined them. */
#ifndef PROT_READ
#define PROT_READ 0x1
#define PROT_WRITE 0x2
#endif
#ifndef MAP_SHARED
#define MAP_SHARED 0x01
#endif

#endif /* _LINUX_MMAN_H */
