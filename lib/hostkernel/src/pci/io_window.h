/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bus addresses of BARs, which no memory can have. The physical address of memory is its address in
 * this process, so each BAR reserves address space of the process without access rights: nothing
 * else can be mapped there, and a device that sends a request there finds no memory.
 */
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace wd::machine
{
class PciFunction;
}

namespace wd::hostkernel
{

/** A BAR, for the MMIO accessors. The function must exist until mmioRemove(). */
struct MmioTarget {
	machine::PciFunction *function = nullptr;
	/** Whether the function decodes memory (command register). */
	const std::atomic<bool> *decode = nullptr;
	unsigned bar = 0;
	uint64_t size = 0;
};

/**
 * Give @target a naturally aligned bus address, below 2 GiB if @below4G.
 * @return the address, or nothing if there is no room.
 */
std::optional<uint64_t> mmioAdd(const MmioTarget &target, bool below4G);

/**
 * Remove every target and mapping of @function. Later accesses through its cookies read all ones.
 */
void mmioRemove(const machine::PciFunction *function);

/** Call @visit for the address range of every BAR. No I/O virtual address may be in one of them. */
using RangeVisitor = void (*)(void *context, uint64_t start, uint64_t last);
void mmioForEachWindow(RangeVisitor visit, void *context);

} // namespace wd::hostkernel
