/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

namespace wd::hostkernel
{

/** To be called before a boot: prepares the boot of a kernel in a child of fork(). */
void forkRemember();

} // namespace wd::hostkernel
