/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Physical addresses in the hosted kernel: bits 46:0 are the address in a process, bits 51:47 the
 * mm id. Id 0 is this process. Ids 1 to 31 are other processes, whose memory process_vm_readv() and
 * process_vm_writev() reach.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

namespace wd::hostkernel
{

constexpr unsigned kMmIdShift = 47;
constexpr unsigned kMmIds = 32;
constexpr uint64_t kAddressMask = (uint64_t{1} << kMmIdShift) - 1;

/** @return a free id for process @pid, or 0 if all are in use. */
unsigned memoryMapAdd(pid_t pid);
void memoryMapRemove(unsigned id);

/** @return the number of bytes at the end that could not be copied. */
size_t remoteRead(pid_t pid, uint64_t address, void *dst, size_t length);
size_t remoteWrite(pid_t pid, uint64_t address, const void *src, size_t length);

} // namespace wd::hostkernel
