/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accesses to memory that may not be there. A fault ends the access, not the process: each
 * instruction that may fault has a row in a table, and the SIGSEGV/SIGBUS handler continues at the
 * row's landing. Signals of any other instruction go to the handler that was installed before.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace wd::hostkernel
{

/** Install the handler (again, if it was replaced). Called by every first use. */
void memoryAccessInit();

/** @return bytes at the end that could not be copied. */
size_t copyFaultable(void *dst, const void *src, size_t length);

/** One access of 1, 2, 4 or 8 bytes; @return false on a fault. */
bool loadFaultable(const void *address, unsigned size, uint64_t &value);
bool storeFaultable(void *address, unsigned size, uint64_t value);
bool compareExchangeFaultable(void *address, uint64_t &expected, uint64_t desired, bool &exchanged);

/**
 * Read one byte of each page from @address on; with @write, also change nothing in it by a write,
 * so that a page that is not writable faults and a shared one becomes the process's own.
 * @return pages that could be touched before the first fault.
 */
size_t touchPages(const void *address, size_t pages, bool write);

} // namespace wd::hostkernel
