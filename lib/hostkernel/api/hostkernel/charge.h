/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests: memory that kernel code charges to the memory cgroup of the process that it works for.
 */
#pragma once

#include <cstdint>

namespace wd::hostkernel
{

/**
 * Bytes that kernel code in this thread has allocated with __GFP_ACCOUNT. The number only grows.
 */
uint64_t chargedBytes();

} // namespace wd::hostkernel
