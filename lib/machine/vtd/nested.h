/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nested translation: the second stage translates the addresses of the first stage's tables and
 * pages (VTD-NEST-1).
 */
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

/** The translation through both stages. Its page is the smaller of the two stages' pages. */
struct NestedLeaf {
	uint64_t base = 0;
	unsigned level = 0;

	static NestedLeaf of(const FirstStageLeaf &first, const SecondStageLeaf &second,
			     uint64_t address);
};

} // namespace wd::machine::vtd
