/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unit's own accesses to memory: table walks, queue reads, status writes. No table translates
 * them. They work only while the unit's function is bus master (VTD-REG-10).
 */
#pragma once

#include <cstdint>

#include "machine/pci_function.h"
#include "machine/physical_memory.h"

namespace wd::machine::vtd
{

/** Thread-safe. Every function returns false if the access did not reach memory. */
class UnitMemory
{
public:
	UnitMemory(const PciFunction &function, PhysicalMemory &memory)
		: function_(function),
		  memory_(memory)
	{
	}

	bool load(uint64_t pa, uint64_t &value) const noexcept
	{
		return function_.busMaster() && memory_.load(pa, 8, value);
	}
	bool store32(uint64_t pa, uint32_t value) const noexcept
	{
		return function_.busMaster() && memory_.store(pa, 4, value);
	}
	bool store64(uint64_t pa, uint64_t value) const noexcept
	{
		return function_.busMaster() && memory_.store(pa, 8, value);
	}
	bool compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
			     bool &exchanged) const noexcept
	{
		return function_.busMaster() &&
		       memory_.compareExchange(pa, expected, desired, exchanged);
	}
	/**
	 * The memory for translated requests of devices, which do not need the unit's bus
	 * mastering.
	 */
	PhysicalMemory &target() const { return memory_; }

private:
	const PciFunction &function_;
	PhysicalMemory &memory_;
};

} // namespace wd::machine::vtd
