/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions of the bus half of the hosted kernel (PCI, interrupts, MMIO, DMA, IOMMU core) for the
 * boot code and the memory map.
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
 * Register the platform-independent buses, give every function of @config its BAR addresses, and
 * add the PCI devices. To be called once per boot after the device model is up and before the
 * first module_init.
 * @return 0 or -errno (everything is undone).
 */
int hostkernel_bus_init(const BootConfig &config);

/** After the last module_exit: remove the PCI devices, stop the interrupt threads. */
void hostkernel_bus_exit();

/** Every function loses its state, but memory stays, as in a sleep of the machine (S3). */
void hostkernel_bus_power_cycle();

/** DMA allocations and streaming mappings that are not released yet (LeakReport). */
uint64_t hostkernel_bus_dma_allocations();

/**
 * The shared memory of [@phys, +@length) of a BAR, for mmap of device pages.
 * @return nothing if the range is no BAR, crosses one, or is trapped there.
 */
std::optional<machine::SharedPages> hostkernel_bus_shared_pages(uint64_t phys, size_t length);

/** Whether @phys lies in the window of BAR addresses (which is no memory). */
bool hostkernel_bus_is_mmio(uint64_t phys);

} // namespace wd::hostkernel
