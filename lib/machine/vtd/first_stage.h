/* SPDX-License-Identifier: Apache-2.0 */
/* First-stage translation, x86-64 format (VT-d 3.6, 9.7). */
#pragma once

#include <cstdint>

#include "walk.h"

namespace wd::machine::vtd
{

/** A first-stage table as a walk finds it in memory. */
struct TablePage {
	uint64_t pa = 0;       /**< host physical */
	bool writable = false; /**< the walk may set A, EA and D in it */
};

/**
 * How a walk gets from the address of a first-stage table to the table. With PGTT 001 addresses are
 * host physical (HostTableSpace); with PGTT 011 the second stage translates them
 * (NestedTableSpace).
 */
class TableSpace
{
public:
	virtual ~TableSpace() = default;

	/**
	 * Find the table at @address. @top: the PASID entry points to it, not an entry of another
	 * table.
	 */
	virtual FaultReason enter(uint64_t address, bool top, TablePage &page) = 0;
	/** Whether @address, from a first-stage entry, is within the space (SFS.5). */
	virtual bool contains(uint64_t address) const = 0;
};

/** Tables in host physical memory: PGTT 001. */
class HostTableSpace final : public TableSpace
{
public:
	FaultReason enter(uint64_t address, bool, TablePage &page) override
	{
		page = TablePage{address, true};
		return FaultReason::None;
	}
	bool contains(uint64_t) const override { return true; }
};

/** A first-stage table, as a PASID entry names it, and how the request uses it. */
struct FirstStageTable {
	uint64_t root = 0;
	unsigned levels = 0; /**< 4 or 5 */
	uint16_t domain = 0;
	uint32_t pasid = 0;
	bool snooped = false;
	bool extendedAccessed = false;
	bool privileged = false;   /**< the request's */
	bool writeProtect = false; /**< WPE */

	static FirstStageTable of(const PasidEntry &entry, uint32_t pasid, bool privileged,
				  const Features &features);
};

struct FirstStageLeaf {
	uint64_t base = 0;
	unsigned level = 0;
	bool user = false, write = false;
	bool dirty = false;

	uint64_t translate(uint64_t address) const
	{
		return base | (address & (bit(levelShift(level)) - 1));
	}
};

/** Whether bits 63:N of @address repeat bit N-1 (VTD-FS-2). */
bool isCanonical(uint64_t address, unsigned levels);

/**
 * Walk @table for a canonical @address. @forWrite: set D if the request may write. @leaf gets the
 * rights, and the caller compares them with the request. One check is made here: a user request
 * ends with a fault at the first entry that denies users.
 */
FaultReason walkFirstStage(const WalkContext &context, TableSpace &space,
			   const FirstStageTable &table, uint64_t address, bool forWrite,
			   FirstStageLeaf &leaf);

} // namespace wd::machine::vtd
