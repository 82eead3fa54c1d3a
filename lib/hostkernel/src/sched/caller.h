/* SPDX-License-Identifier: GPL-2.0-only */
/* All callers, for shutdown. */
#pragma once

namespace wd::hostkernel
{

/** Unmap and close everything that callers still have; the callers themselves stay usable. */
void callersReleaseAll();

} // namespace wd::hostkernel
