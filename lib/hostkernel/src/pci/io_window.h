/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where BARs live: bus addresses that no memory can have. The window is address space of this
 * process without access rights, because the physical address of memory is its address here:
 * nothing else can be mapped there, and a device that sends a request there finds no memory.
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

/** A BAR as the MMIO accessors need it. All of it outlives the registration. */
struct MmioTarget {
	machine::PciFunction *function = nullptr;
	/** Memory decoding of the function (command register). */
	const std::atomic<bool> *decode = nullptr;
	unsigned bar = 0;
	uint64_t size = 0;
};

/**
 * Give @target a naturally aligned bus address, below 2 GiB if @below4G.
 * @return the address, or nothing if there is no room.
 */
std::optional<uint64_t> mmioAdd(const MmioTarget &target, bool below4G);

/** Forget every target and mapping of @function; later accesses through its cookies read ones. */
void mmioRemove(const machine::PciFunction *function);

/** Every BAR address range, which no I/O virtual address may alias. */
using RangeVisitor = void (*)(void *context, uint64_t start, uint64_t last);
void mmioForEachWindow(RangeVisitor visit, void *context);

/** ioremap()s that were not undone. */
unsigned mmioMappings();

} // namespace wd::hostkernel
