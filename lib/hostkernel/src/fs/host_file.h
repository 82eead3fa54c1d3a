/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of the host that a program has given to the kernel. */
#pragma once

#include <linux/fs.h>

namespace wd::hostkernel
{

/**
 * Duplicate descriptor @fd of the caller, of this or of a remote process.
 * @return a descriptor above 2, which the kernel owns, or -errno.
 */
int takeDescriptor(int fd);

/** A file for the caller's descriptor @fd, with one reference, or ERR_PTR. */
file *hostFileOpen(int fd);

/** The host's descriptor of a file that hostFileOpen() has made; -1 for other files. */
int hostDescriptorOf(const file *filp);

} // namespace wd::hostkernel
