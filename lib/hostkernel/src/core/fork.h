/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

namespace wd::hostkernel
{

/** Prepare the boot of a kernel in a child of fork(). boot() calls this before everything else. */
void forkRemember();

} // namespace wd::hostkernel
