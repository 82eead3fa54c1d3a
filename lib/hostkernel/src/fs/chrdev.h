/* SPDX-License-Identifier: GPL-2.0-only */
/* Inodes, and files on them. */
#pragma once

#include <linux/fs.h>

namespace wd::hostkernel
{

/** With one reference; nullptr without memory. */
inode *inodeCreate(dev_t devt, umode_t mode);
void inodePut(inode *node);

/** A file with a reference on @node, taken over from the caller; nullptr without memory. */
file *fileCreate(inode *node, const file_operations *fops, int flags);
/** Undo fileCreate() after a failed open: no release(), @node's reference stays. */
void fileAbandon(file *filp);

} // namespace wd::hostkernel
