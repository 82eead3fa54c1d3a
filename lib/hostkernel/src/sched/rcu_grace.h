/* SPDX-License-Identifier: GPL-2.0-only */
/* liburcu (flavour bp), kept apart: its header uses the kernel's names for its own things. */
#pragma once

namespace wd::hostkernel
{

void graceReadLock();
void graceReadUnlock();
void graceWait();
/** Readers of a parent must not be waited for in its child. */
void graceWatchForks();

} // namespace wd::hostkernel
