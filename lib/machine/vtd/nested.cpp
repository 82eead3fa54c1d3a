// SPDX-License-Identifier: Apache-2.0
#include "nested.h"

#include <algorithm>

namespace wd::machine::vtd
{

/*
 * VTD-NEST-2, VTD-NEST-3, VTD-NEST-10. With SSADE set, every access to a first-stage table counts
 * as a write to its page, even if it changes no bit (VTD-NEST-5).
 */
FaultReason NestedTableSpace::enter(uint64_t address, bool top, TablePage &page)
{
	SecondStageLeaf leaf;
	const FaultReason reason =
		walkSecondStage(context_, table_, address, table_.trackUse, leaf);

	if (reason != FaultReason::None)
		return reason;
	if (!leaf.read)
		return top ? FaultReason::NestedTopNotReadable : FaultReason::NestedNotReadable;
	if (table_.trackUse && !leaf.write)
		return FaultReason::NestedNotWritable;
	page = TablePage{leaf.translate(address), leaf.write};
	return FaultReason::None;
}

/* VTD-NEST-8 */
NestedLeaf NestedLeaf::of(const FirstStageLeaf &first, const SecondStageLeaf &second,
			  uint64_t address)
{
	NestedLeaf leaf;

	leaf.level = std::min(first.level, second.level);
	leaf.base = second.translate(first.translate(address)) & ~(bit(levelShift(leaf.level)) - 1);
	return leaf;
}

} // namespace wd::machine::vtd
