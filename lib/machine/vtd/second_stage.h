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
	bool snooped = false;  /**< walks are coherent, so that A and D may be set */

	static SecondStageTable of(const PasidEntry &entry, const Features &features);
};

struct SecondStageLeaf {
	uint64_t base = 0; /**< physical address of the page */
	unsigned level = 0;
	bool read = false, write = false;
	bool dirty = false; /**< a write needs no further update of the leaf */
	bool snoop = false; /**< SNP */

	uint64_t translate(uint64_t address) const
	{
		return base | (address & (bit(levelShift(level)) - 1));
	}
};

/**
 * Walk @table for @address, which is within the table's width. @forWrite: D is wanted if the page
 * turns out to be writable. Rights are returned, not judged, except that a walk with neither read
 * nor write is not present (79h). Serves any address: a request's, or that of a first-stage table.
 */
FaultReason walkSecondStage(const WalkContext &context, const SecondStageTable &table,
			    uint64_t address, bool forWrite, SecondStageLeaf &leaf);

} // namespace wd::machine::vtd
