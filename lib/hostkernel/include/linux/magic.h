/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_MAGIC_H
#define _LINUX_MAGIC_H

#define HUGETLBFS_MAGIC 0x958458f6
#define TMPFS_MAGIC 0x01021994

#endif /* _LINUX_MAGIC_H */
