/* SPDX-License-Identifier: GPL-2.0-only */
/* Inodes, and files on them. */
#pragma once

#include <linux/fs.h>

namespace wd::hostkernel
{

/** With one reference; nullptr without memory. */
inode *inodeCreate(dev_t devt, umode_t mode);
void inodePut(inode *node);

/** A file with one reference on @node (whose reference it takes over); nullptr without memory. */
file *fileCreate(inode *node, const file_operations *fops, int flags);
/** Undo fileCreate() for a file whose open failed: no release(), @node's reference stays. */
void fileAbandon(file *filp);

} // namespace wd::hostkernel
