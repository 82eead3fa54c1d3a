/* SPDX-License-Identifier: Apache-2.0 */
/* Parts that the stages of a walk share (VT-d 3.6, 3.7). */
#pragma once

#include <cstdint>

#include "bits.h"
#include "caches.h"
#include "unit_memory.h"

namespace wd::machine::vtd
{

/** Everything a walk works with; lives on the agent's stack for one request. */
struct WalkContext {
	const Features &features;
	const UnitMemory &memory;
	AgentCaches &caches;

	/** Read one 8-byte table word. @return false if no memory answered. */
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
 * Software may change an entry while its A or D bit is being set; then the walk of that entry
 * starts again. A writer that never lets it succeed makes the update fail.
 */
constexpr unsigned kUpdateAttempts = 64;

} // namespace wd::machine::vtd
