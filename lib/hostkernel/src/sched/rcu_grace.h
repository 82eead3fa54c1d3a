/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps the header of liburcu (flavour bp) out of other files, since it uses names of the kernel
 * for things of its own.
 */
#pragma once

namespace wd::hostkernel
{

void graceReadLock();
void graceReadUnlock();
void graceWait();
/** In a child of fork(), do not wait for readers of the parent. */
void graceWatchForks();

} // namespace wd::hostkernel
