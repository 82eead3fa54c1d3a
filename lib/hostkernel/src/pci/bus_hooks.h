/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions of the bus part of the hosted kernel (PCI, interrupts, MMIO, DMA, IOMMU core) that the
 * boot code and the memory code call.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace wd::machine
{
struct SharedPages;
}

namespace wd::hostkernel
{

struct BootConfig;

/**
 * Register the buses, give every function of @config its BAR addresses, and add the PCI devices.
 * The boot code calls this once, after the device model is up and before the first module_init.
 * @return 0 or -errno; after an error all steps are undone.
 */
int hostkernel_bus_init(const BootConfig &config);

/**
 * Remove the PCI devices and stop the interrupt threads. The boot code calls this after the last
 * module_exit.
 */
void hostkernel_bus_exit();

/**
 * Reset every function to its state at power-on, as a sleep of the machine (S3) does. Memory stays.
 */
void hostkernel_bus_power_cycle();

/** Number of DMA allocations and streaming mappings that are not released yet, for LeakReport. */
uint64_t hostkernel_bus_dma_allocations();

/**
 * The shared memory of the BAR at [@phys, +@length), for mmap of device pages.
 * @return nothing if the range is not inside one BAR, or if accesses trap there.
 */
std::optional<machine::SharedPages> hostkernel_bus_shared_pages(uint64_t phys, size_t length);

/** Works on memory; @return whether it could. */
using MemoryUse = bool (*)(void *context, void *memory);

/**
 * Call @use with the memory of a function at [@phys, +@length): a request of another device reaches
 * it on the bus. The function cannot go meanwhile.
 * @return what @use returned; false if the range is not inside one BAR that decodes, or if accesses
 * trap there. (A device that waits for registers of another could wait for itself.)
 */
bool hostkernel_bus_peer(uint64_t phys, size_t length, MemoryUse use, void *context);

/** Whether @phys is in a BAR, where there is no memory. */
bool hostkernel_bus_is_mmio(uint64_t phys);

} // namespace wd::hostkernel
