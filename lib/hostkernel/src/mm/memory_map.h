/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Physical addresses of the host: bits 0..46 = address, bits 47..51 = mm id. Id 0 is this process;
 * 1..31 are remote processes, reached through process_vm_readv/writev.
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
/** 0 = no such mm. */
pid_t memoryMapPid(unsigned id);

/** @return bytes at the end that could not be copied. */
size_t remoteRead(pid_t pid, uint64_t address, void *dst, size_t length);
size_t remoteWrite(pid_t pid, uint64_t address, const void *src, size_t length);

} // namespace wd::hostkernel
