/* SPDX-License-Identifier: Apache-2.0 */
/* Nested translation: a first stage with tables and pages in a second stage (VTD-NEST-1). */
#pragma once

#include <cstdint>

#include "first_stage.h"
#include "second_stage.h"
#include "walk.h"

namespace wd::machine::vtd
{

/** First-stage tables in guest physical memory: PGTT 011. */
class NestedTableSpace final : public TableSpace
{
public:
	/** @width: bits of a guest physical address, min(MGAW, AGAW). */
	NestedTableSpace(const WalkContext &context, const SecondStageTable &table, unsigned width)
		: context_(context),
		  table_(table),
		  width_(width)
	{
	}

	FaultReason enter(uint64_t address, bool top, TablePage &page) override;
	bool contains(uint64_t address) const override { return !(address >> width_); }

private:
	const WalkContext &context_;
	const SecondStageTable &table_;
	const unsigned width_;
};

/** The page that both stages agree on: the smaller of the two, in host physical memory. */
struct NestedLeaf {
	uint64_t base = 0;
	unsigned level = 0;

	static NestedLeaf of(const FirstStageLeaf &first, const SecondStageLeaf &second,
			     uint64_t address);
};

} // namespace wd::machine::vtd
