/* SPDX-License-Identifier: Apache-2.0 */
/* Code that first-stage and second-stage walks share (VT-d 3.6, 3.7). */
#pragma once

#include <cstdint>

#include "base/bits.h"
#include "caches.h"
#include "unit_memory.h"

namespace wd::machine::vtd
{

/** References to everything that a walk uses. Each translator has one. */
struct WalkContext {
	const Features &features;
	const UnitMemory &memory;
	AgentCaches &caches;

	/** Read one 8-byte word of a table at @pa. @return false if there is no memory. */
	bool fetch(uint64_t pa, uint64_t &value) const noexcept
	{
		AgentCounters::add(caches.counters.entryReads);
		return memory.load(pa, value);
	}
};

/** Physical (or guest physical) address of the entry of @table that maps @address at @level. */
constexpr uint64_t entryAddress(uint64_t table, uint64_t address, unsigned level)
{
	return table + ((address >> (3 + 9 * level)) & 0x1ff) * 8;
}

constexpr unsigned levelShift(unsigned level)
{
	return 3 + 9 * level;
}

/** Index of the size class of a leaf at @level. */
constexpr unsigned levelClass(unsigned level)
{
	return level - 1;
}

/**
 * How often a walk tries to set A or D in an entry. Software may change the entry meanwhile; then
 * the walk checks the new value and tries again. After the last attempt the update fails.
 */
constexpr unsigned kUpdateAttempts = 64;

} // namespace wd::machine::vtd
