/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel pages. They are in one memfd, so that the kernel can map a page a second time for user
 * space. The physical address of a page is its address in the kernel's mapping. Thread-safe.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace wd::hostkernel
{

/**
 * Allocate @pages contiguous pages, rounded up to a power of two in size and alignment, and zero
 * them if @zero.
 * @return nullptr if the arena is full. The leak report does not count these pages; the caller has
 * to.
 */
void *arenaAllocate(size_t pages, bool zero);

/**
 * Free the result of arenaAllocate(@pages), with the same @pages. A wrong or second free does
 * nothing but WARN.
 */
void arenaFree(void *address, size_t pages);

/** Whether all of [@address, +@length) is in the arena. */
bool arenaContains(const void *address, size_t length);

/** The memfd, and the offset in it of @address, which must be in the arena. */
int arenaFd();
uint64_t arenaOffset(const void *address);

/** Allocations, and their bytes, of the alloc_pages() family that are not freed. */
uint64_t arenaPageAllocations();
uint64_t arenaPageBytes();

} // namespace wd::hostkernel
