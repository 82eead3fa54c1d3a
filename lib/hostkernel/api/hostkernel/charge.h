/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests: charges of kernel code to the memory cgroup of the process that it works for. */
#pragma once

#include <cstdint>

namespace wd::hostkernel
{

/** Bytes that kernel code in this thread has allocated with __GFP_ACCOUNT; only grows. */
uint64_t chargedBytes();

} // namespace wd::hostkernel
