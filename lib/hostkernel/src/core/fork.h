/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

namespace wd::hostkernel
{

/** Before a boot: what a child of fork() needs to boot a kernel of its own. */
void forkRemember();

} // namespace wd::hostkernel
