// SPDX-License-Identifier: Apache-2.0
/*
 * The fast path of a queue: rings, doorbells, stop flags (QM-RING-1, QM-RING-4, QM-DB-1,
 * QM-UACCE-4).
 */
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include <misc/uacce/hisi_qm.h>

#include "wd/error.hpp"
#include "wd/queue.hpp"
#include "zip_bits.hpp"

namespace wd::detail
{

namespace
{

/** Shared words: the other side is a device, or the kernel. Bytes are little-endian, as we are. */
template <typename Word>
Word loadShared(const std::byte *address) noexcept
{
	return __atomic_load_n(reinterpret_cast<const Word *>(address), __ATOMIC_ACQUIRE);
}

void storeShared(std::byte *address, uint64_t value) noexcept
{
	__atomic_store_n(reinterpret_cast<uint64_t *>(address), value, __ATOMIC_RELEASE);
}

bool lengthsFit(const zip::Request &request) noexcept
{
	return request.sourceLength <= zip::kMaxBuffer && request.destinationLength > 0 &&
	       request.destinationLength <= zip::kMaxBuffer;
}

} // namespace

Rings::Rings(const Layout &layout, const std::string &object) : layout_(layout)
{
	/* Two status words end the region; both rings have at least two entries. */
	const uint64_t sq = uint64_t{layout.sqDepth} * sizeof(zip::Sqe);
	const uint64_t cq = uint64_t{layout.cqDepth} * zip::cqe::kSize;
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
	} else if (layout.mmioSize < zip::doorbell::kArchitected + sizeof(uint64_t)) {
		throw Error(EPROTO, object, "find its doorbell");
	}
	limit_ = std::min(layout.sqDepth, layout.cqDepth) - 1;
	sent_.resize(layout.sqDepth);
	/* Phase 1 is the first lap: whatever an earlier life left in the ring must not look so. */
	std::memset(layout_.dus + cqOffset_, 0, cq);
	if (words_)
		for (Word word : {Word::SqTail, Word::CqHead, Word::CqArm})
			writeWord(word, 0);
}

bool Rings::stopFlag(size_t fromEnd) const noexcept
{
	return loadShared<uint32_t>(layout_.dus + layout_.dusSize - fromEnd) != 0;
}

void Rings::writeWord(Word word, uint64_t value) noexcept
{
	storeShared(words_ + static_cast<size_t>(word), value);
}

void Rings::writeArchitected(uint64_t value) noexcept
{
	/* The rings are plain memory, the doorbell is a device: order them. */
	std::atomic_thread_fence(std::memory_order_seq_cst);
	storeShared(layout_.mmio + zip::doorbell::kArchitected,
		    value | (layout_.number & zip::doorbell::kNumberMask));
}

void Rings::ringSq() noexcept
{
	if (words_)
		writeWord(Word::SqTail, tail_);
	else
		writeArchitected(zip::doorbell::kSq << zip::doorbell::kCommandShift |
				 uint64_t{tail_} << zip::doorbell::kIndexShift);
}

void Rings::ringCq() noexcept
{
	if (words_)
		writeWord(Word::CqHead, cqHead_);
	else
		writeArchitected(zip::doorbell::kCq << zip::doorbell::kCommandShift |
				 uint64_t{cqHead_} << zip::doorbell::kIndexShift);
}

void Rings::arm() noexcept
{
	if (words_)
		writeWord(Word::CqArm, ++armCount_ << zip::doorbell::kArmCountShift | cqHead_);
	else
		writeArchitected(zip::doorbell::kCq << zip::doorbell::kCommandShift |
				 uint64_t{cqHead_} << zip::doorbell::kIndexShift |
				 zip::doorbell::kArm);
}

QueueStatus Rings::send(std::span<const zip::Request> requests, unsigned &sent) noexcept
{
	sent = 0;
	if (broken_)
		return QueueStatus::Protocol;
	if (stopped_ || stopFlag(HISI_QM_DUS_TX_STOP))
		return QueueStatus::Stopped;
	QueueStatus status = QueueStatus::Ok;
	for (const zip::Request &request : requests) {
		if (inFlight_ == limit_) {
			status = QueueStatus::Full;
			break;
		}
		if (!lengthsFit(request)) {
			status = QueueStatus::Invalid;
			break;
		}
		zip::Sqe sqe;
		zip::fillSqe(sqe, request);
		std::memcpy(layout_.dus + tail_ * sizeof(sqe), &sqe, sizeof(sqe));
		sent_[tail_] = {request.tag, request.sourceLength, request.destinationLength};
		tail_ = tail_ + 1 == layout_.sqDepth ? 0 : tail_ + 1;
		inFlight_++;
		sent++;
	}
	if (sent)
		ringSq();
	return status;
}

bool Rings::cqeValid() const noexcept
{
	const std::byte *cqe = layout_.dus + cqOffset_ + cqHead_ * zip::cqe::kSize;
	return (loadShared<uint16_t>(cqe + zip::cqe::kPhaseWord) & zip::cqe::kPhase) == phase_;
}

/** Take the completion at the head, whose phase was seen: what is before it in memory is there. */
QueueStatus Rings::take(zip::Completion &out) noexcept
{
	const std::byte *cqe = layout_.dus + cqOffset_ + cqHead_ * zip::cqe::kSize;
	const unsigned slot = loadShared<uint16_t>(cqe + zip::cqe::kSqHead);
	const unsigned number = loadShared<uint16_t>(cqe + zip::cqe::kSqNumber);
	/* QM-RING-3, QM-RING-6: tasks of a queue complete in the order they were sent. */
	if (inFlight_ == 0 || slot != oldest_ || number != layout_.number)
		return QueueStatus::Protocol;
	zip::Sqe sqe;
	std::memcpy(&sqe, layout_.dus + slot * sizeof(sqe), sizeof(sqe));
	const zip::Completion completion = zip::parseSqe(sqe);
	const Sent &request = sent_[slot];
	if (completion.tag != request.tag || completion.consumed > request.sourceLength ||
	    completion.produced > request.destinationLength)
		return QueueStatus::Protocol;
	out = completion;
	oldest_ = oldest_ + 1 == layout_.sqDepth ? 0 : oldest_ + 1;
	inFlight_--;
	if (++cqHead_ == layout_.cqDepth) {
		cqHead_ = 0;
		phase_ ^= 1;
	}
	return QueueStatus::Ok;
}

PollResult Rings::poll(std::span<zip::Completion> out) noexcept
{
	PollResult result;
	if (broken_)
		return {QueueStatus::Protocol, 0};
	while (result.count < out.size() && cqeValid()) {
		result.status = take(out[result.count]);
		if (result.status != QueueStatus::Ok) {
			broken_ = true;
			break;
		}
		result.count++;
	}
	if (result.count)
		ringCq();
	else if (result.status == QueueStatus::Ok && (stopped_ || stopFlag(HISI_QM_DUS_RX_STOP)))
		result.status = QueueStatus::Stopped;
	return result;
}

bool Rings::ready() const noexcept
{
	return broken_ || stopped_ || cqeValid() || stopFlag(HISI_QM_DUS_RX_STOP);
}

} // namespace wd::detail
