/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts allocations and mappings of the DMA API that are not released, for the leak report. */
#pragma once

#include <atomic>
#include <cstdint>

namespace wd::hostkernel
{

inline std::atomic<int64_t> liveDma{0};

} // namespace wd::hostkernel
