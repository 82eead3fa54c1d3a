/* SPDX-License-Identifier: GPL-2.0-only */
/* The allocators report here what they charge; see hostkernel/charge.h. */
#pragma once

#include <cstddef>

#include <linux/gfp.h>

namespace wd::hostkernel
{

/** @size bytes have been allocated with @flags. */
void noteCharge(gfp_t flags, size_t size);

} // namespace wd::hostkernel
