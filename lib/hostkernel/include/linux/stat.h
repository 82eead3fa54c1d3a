/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_STAT_H
#define _LINUX_STAT_H

/* The C library's headers may have defined them. */
#ifndef S_IFMT
#define S_IFMT 00170000
#define S_IFREG 0100000
#endif
#ifndef S_ISREG
#define S_ISREG(m) (((m)&S_IFMT) == S_IFREG)
#endif

#endif /* _LINUX_STAT_H */
