/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many allocations and mappings of the DMA API are alive, for the leak report.
 */
#pragma once

#include <atomic>
#include <cstdint>

namespace wd::hostkernel
{

inline std::atomic<int64_t> liveDma{0};

} // namespace wd::hostkernel
