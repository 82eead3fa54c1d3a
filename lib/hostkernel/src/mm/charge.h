/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the allocators note what is charged, see hostkernel/charge.h. */
#pragma once

#include <cstddef>

#include <linux/gfp.h>

namespace wd::hostkernel
{

/** @size bytes have been allocated with @flags. */
void noteCharge(gfp_t flags, size_t size);

} // namespace wd::hostkernel
