/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accesses to memory that may not be there. A fault ends the access and not the process: each
 * instruction that may fault has a row in a table, and the handler of SIGSEGV and SIGBUS continues
 * at the address in that row. For any other instruction it calls the handler that was installed
 * before.
 */
#pragma once

#include <cstddef>
#include <cstdint>

namespace wd::hostkernel
{

/** Install the handler, again if another one has replaced it. */
void memoryAccessInit();

/** @return the number of bytes at the end that could not be copied. */
size_t copyFaultable(void *dst, const void *src, size_t length);

/** One access of 1, 2, 4 or 8 bytes; @return false on a fault. */
bool loadFaultable(const void *address, unsigned size, uint64_t &value);
bool storeFaultable(void *address, unsigned size, uint64_t value);
bool compareExchangeFaultable(void *address, uint64_t &expected, uint64_t desired, bool &exchanged);

/**
 * Read one byte of each page from @address on. With @write also write the byte back unchanged: a
 * page that is not writable faults, and a page shared by copy-on-write becomes the process's own.
 * @return the number of pages before the first fault.
 */
size_t touchPages(const void *address, size_t pages, bool write);

} // namespace wd::hostkernel
