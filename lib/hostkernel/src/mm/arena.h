/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel pages: one memfd, mapped once, so that a page can be mapped a second time for user space.
 * The physical address of a page is its address in that mapping. Thread-safe.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace wd::hostkernel
{

/**
 * @pages contiguous pages (rounded up to a power of two for the alignment and the size), zeroed if
 * @zero. @return nullptr if the arena is exhausted. Not counted in the leak report: the caller
 * does.
 */
void *arenaAllocate(size_t pages, bool zero);

/** Free exactly the result of arenaAllocate(@pages). A wrong or second free is a WARN and
 * ignored. */
void arenaFree(void *address, size_t pages);

/** Whether all of [@address, +@length) is in the arena. */
bool arenaContains(const void *address, size_t length);

/** The memfd, and the offset of @address (which is in the arena) in it. */
int arenaFd();
uint64_t arenaOffset(const void *address);

/** Page allocations of alloc_pages() and friends that are not given back. */
uint64_t arenaPageAllocations();
uint64_t arenaPageBytes();

} // namespace wd::hostkernel
