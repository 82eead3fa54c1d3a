/* SPDX-License-Identifier: GPL-2.0-only */
/* Page pins, and which user memory can be pinned at all. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

struct mm_struct;

namespace wd::hostkernel
{

/** Pins of pages [@pfn, +@count). Sub of a page that is not pinned is a WARN. Thread-safe. */
void pinCountAdd(uint64_t pfn, uint64_t count);
void pinCountSub(uint64_t pfn, uint64_t count);
/** All pins of all pages. */
uint64_t pinnedPagesTotal();

/** How many of @pages from @start on are writable for process @pid, by its map. */
size_t remoteWritable(pid_t pid, uint64_t start, size_t pages);

/**
 * Touch pages of a process from @start on, so that they are there, for @write the process's own.
 * @return how many could be touched.
 */
size_t touchUser(mm_struct *mm, unsigned long start, size_t pages, bool write);

/* Mappings that Caller::mmap made of device or kernel pages: Linux refuses to pin them. */
void deviceMappingAdd(uint64_t start, uint64_t length);
void deviceMappingRemove(uint64_t start, uint64_t length);
/** @return how many of @pages from @start on come before the first such mapping. */
uint64_t deviceMappingClip(uint64_t start, uint64_t pages);

} // namespace wd::hostkernel
