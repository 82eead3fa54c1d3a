/* SPDX-License-Identifier: Apache-2.0 */
/* Second-stage translation of one guest physical address (VT-d 3.7, 9.8). */
#pragma once

#include <cstdint>

#include "walk.h"

namespace wd::machine::vtd
{

/** A second-stage table, as a PASID entry names it. */
struct SecondStageTable {
	uint64_t root = 0;
	unsigned levels = 0;   /**< 3, 4 or 5 */
	uint16_t domain = 0;   /**< tag of cached structures */
	bool trackUse = false; /**< SSADE: maintain A and D */
	bool snooped = false;  /**< walks are coherent, so that they may set A and D */

	static SecondStageTable of(const PasidEntry &entry, const Features &features);
};

struct SecondStageLeaf {
	uint64_t base = 0; /**< physical address of the page */
	unsigned level = 0;
	bool read = false, write = false;
	bool dirty = false; /**< a write does not have to set D any more */
	bool snoop = false; /**< SNP */

	uint64_t translate(uint64_t address) const
	{
		return base | (address & (bit(levelShift(level)) - 1));
	}
};

/**
 * Walk @table for @address, which is within the table's width. @forWrite: set D if the page is
 * writable. @leaf gets the rights, and the caller compares them with the request. One check is made
 * here: a page with neither the right to read nor to write is not present (79h). @address may be a
 * request's or that of a first-stage table.
 */
FaultReason walkSecondStage(const WalkContext &context, const SecondStageTable &table,
			    uint64_t address, bool forWrite, SecondStageLeaf &leaf);

} // namespace wd::machine::vtd
