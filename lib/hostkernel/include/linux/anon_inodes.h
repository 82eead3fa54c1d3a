/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_ANON_INODES_H
#define _LINUX_ANON_INODES_H

#include <linux/fs.h>

WD_BEGIN_DECLS
struct file *anon_inode_getfile(const char *name, const struct file_operations *fops, void *priv,
				int flags);
WD_END_DECLS

#endif /* _LINUX_ANON_INODES_H */
