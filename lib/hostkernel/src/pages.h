/* SPDX-License-Identifier: GPL-2.0-only */
/* Page pins, and which user memory can be pinned at all. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

namespace wd::hostkernel
{

/** Pins of pages [@pfn, +@count). Sub of a page that is not pinned is a WARN. Thread-safe. */
void pinCountAdd(uint64_t pfn, uint64_t count);
void pinCountSub(uint64_t pfn, uint64_t count);
/** All pins of all pages. */
uint64_t pinnedPagesTotal();

/** How many of @pages from @start on are writable for process @pid, by its map. */
size_t remoteWritable(pid_t pid, uint64_t start, size_t pages);

/* Mappings that Caller::mmap made of device or kernel pages: Linux refuses to pin those. */
void deviceMappingAdd(uint64_t start, uint64_t length);
void deviceMappingRemove(uint64_t start, uint64_t length);
/** @return how many of @pages from @start on come before the first such mapping. */
uint64_t deviceMappingClip(uint64_t start, uint64_t pages);

} // namespace wd::hostkernel
