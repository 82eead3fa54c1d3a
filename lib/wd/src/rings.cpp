// SPDX-License-Identifier: Apache-2.0
/*
 * The fast path of a queue: rings, doorbells, stop flags (QM-RING-1, QM-RING-4, QM-DB-1,
 * QM-UACCE-4).
 */
#include "rings.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "wd/error.h"

namespace wd::detail
{

Rings::Rings(const Layout &layout, const std::string &object) : layout_(layout)
{
	/* The stop flags end the region; both rings have at least two entries. */
	const uint64_t sq = uint64_t{layout.sqDepth} * layout.descriptorSize;
	const uint64_t cq = uint64_t{layout.cqDepth} * cqe::kSize;
	const bool fits = layout.sqDepth >= 2 && layout.cqDepth >= 2 &&
			  layout.dusSize >= HISI_QM_DUS_RX_STOP &&
			  sq + cq <= layout.dusSize - HISI_QM_DUS_RX_STOP;
	if (!fits)
		throw Error(EPROTO, object, "fit its rings into the DUS region");
	cqOffset_ = sq;
	if (layout.doorbellWords) {
		const uint64_t last = uint64_t{*layout.doorbellWords} +
				      HISI_QM_DOORBELL_WORD(layout.number, HISI_QM_WORD_CQ_ARM);
		if (last + sizeof(uint64_t) > layout.mmioSize)
			throw Error(EPROTO, object, "find its doorbell words");
		words_ = layout.mmio + *layout.doorbellWords +
			 HISI_QM_DOORBELL_WORD(layout.number, 0);
	} else if (layout.mmioSize < doorbell::kArchitected + sizeof(uint64_t)) {
		throw Error(EPROTO, object, "find its doorbell");
	}
	limit_ = std::min(layout.sqDepth, layout.cqDepth) - 1;
	/* Phase 1 marks entries of the first lap: clear those that an earlier start has left. */
	std::memset(layout_.dus + cqOffset_, 0, cq);
	if (words_)
		for (Word word : {Word::SqTail, Word::CqHead, Word::CqArm})
			writeWord(word, 0);
}

void Rings::writeArchitected(uint64_t value) noexcept
{
	/* The rings are plain memory, the doorbell is a device: order them. */
	std::atomic_thread_fence(std::memory_order_seq_cst);
	storeShared(layout_.mmio + doorbell::kArchitected,
		    value | (layout_.number & doorbell::kNumberMask));
}

void Rings::arm() noexcept
{
	if (words_)
		writeWord(Word::CqArm, ++armCount_ << doorbell::kArmCountShift | cqHead_);
	else
		writeArchitected(doorbell::kCq << doorbell::kCommandShift |
				 uint64_t{cqHead_} << doorbell::kIndexShift | doorbell::kArm);
}

bool Rings::ready() const noexcept
{
	return broken_ || stopped_ || cqeValid() || stopFlag(HISI_QM_DUS_RX_STOP);
}

} // namespace wd::detail
