/* SPDX-License-Identifier: GPL-2.0-only */
/* Inodes, and files on them. */
#pragma once

#include <linux/fs.h>

namespace wd::hostkernel
{

/** A new inode with one reference; nullptr without memory. */
inode *inodeCreate(dev_t devt, umode_t mode);
void inodePut(inode *node);

/** A new file. It takes over the caller's reference to @node; nullptr without memory. */
file *fileCreate(inode *node, const file_operations *fops, int flags);
/**
 * Undo fileCreate() after a failed open: does not call release(), and leaves the reference to the
 * node with the caller.
 */
void fileAbandon(file *filp);

} // namespace wd::hostkernel
