/* SPDX-License-Identifier: GPL-2.0-only */
/* Pins of pages, and tests whether user memory can be pinned. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

struct mm_struct;

namespace wd::hostkernel
{

/**
 * Add or remove a pin of each page of [@pfn, +@count). To remove a pin that does not exist is a
 * WARN. Thread-safe.
 */
void pinCountAdd(uint64_t pfn, uint64_t count);
void pinCountSub(uint64_t pfn, uint64_t count);
/** The number of pins of these pages. */
uint64_t pinCountIn(uint64_t pfn, uint64_t count);
/** The number of all pins. */
uint64_t pinnedPagesTotal();

/** How many of @pages pages from @start on process @pid may write, by its /proc/<pid>/maps. */
size_t remoteWritable(pid_t pid, uint64_t start, size_t pages);

/**
 * Touch @pages pages of a process from @start on, so that they are in memory, and with @write not
 * shared by copy-on-write.
 * @return the number of pages that could be touched.
 */
size_t touchUser(mm_struct *mm, unsigned long start, size_t pages, bool write);

/*
 * The mappings of device or kernel pages that Caller::mmap() has made. Linux refuses to pin them.
 */
void deviceMappingAdd(uint64_t start, uint64_t length);
void deviceMappingRemove(uint64_t start, uint64_t length);
/** @return how many of the @pages pages from @start on come before the first such mapping. */
uint64_t deviceMappingClip(uint64_t start, uint64_t pages);

} // namespace wd::hostkernel
