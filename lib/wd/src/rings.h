/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path of a queue. It is in a header, so that each kind of accelerator gets it inline.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include <misc/uacce/hisi_qm.h>

#include "base/shared_words.h"
#include "ring_bits.h"
#include "wd/queue.h"

namespace wd::detail
{

/**
 * The rings and doorbells of a started queue, for descriptors of any kind. Sending and polling are
 * loads and stores: no system call, no lock, no allocation. Thread-bound. It does not know how the
 * memory was mapped, so tests use it on plain memory.
 */
class Rings
{
public:
	struct Layout {
		std::byte *dus = nullptr;
		size_t dusSize = 0;
		std::byte *mmio = nullptr;
		size_t mmioSize = 0;
		std::optional<uint32_t> doorbellWords;
		unsigned number = 0, sqDepth = 0, cqDepth = 0;
		size_t descriptorSize = 0;
	};

	/** @throws Error (EPROTO) if the rings do not fit the regions. */
	Rings(const Layout &layout, const std::string &object);

	/**
	 * Fill up to @count slots in order, then ring the doorbell once.
	 * @param fill (Descriptor &, slot, index) writes the whole descriptor of request @index;
	 *	false: no device takes the request
	 * @param sent number of requests that were sent
	 * @return Ok if all were sent, else the reason why the next one was not
	 */
	template <typename Descriptor, typename Fill>
	QueueStatus send(size_t count, unsigned &sent, Fill &&fill) noexcept
	{
		sent = 0;
		QueueStatus status = sendable();
		while (status == QueueStatus::Ok && sent < count) {
			Descriptor descriptor;
			if (inFlight_ == limit_) {
				status = QueueStatus::Full;
			} else if (!fill(descriptor, tail_, sent)) {
				status = QueueStatus::Invalid;
			} else {
				put(&descriptor, sizeof(descriptor));
				sent++;
			}
		}
		if (sent)
			ringSq();
		return status;
	}
	/**
	 * Take the completions that have arrived, oldest first, at most @count. Never blocks.
	 * @param take (const Descriptor &, slot, index) gets a private copy of the descriptor that
	 *	came back in @slot; false: it does not fit the request that was sent there, and the
	 *	queue is dead
	 */
	template <typename Descriptor, typename Take>
	PollResult poll(size_t count, Take &&take) noexcept
	{
		PollResult result;
		if (broken_)
			return {QueueStatus::Protocol, 0};
		while (result.count < count && cqeValid()) {
			Descriptor descriptor;
			if (!copyOldest(&descriptor, sizeof(descriptor)) ||
			    !take(std::as_const(descriptor), oldest_, result.count)) {
				broken_ = true;
				result.status = QueueStatus::Protocol;
				break;
			}
			advance();
			result.count++;
		}
		finishPoll(result);
		return result;
	}
	/** True if there is a completion, a stop flag or an error. */
	bool ready() const noexcept;
	/** Ask for an interrupt at the next completion. */
	void arm() noexcept;
	/** The kernel has stopped the queue: refuse to send; poll() only empties the ring. */
	void markStopped() noexcept { stopped_ = true; }
	unsigned depth() const noexcept { return limit_; }
	unsigned inFlight() const noexcept { return inFlight_; }
	/** Slots of the submission ring. */
	unsigned slots() const noexcept { return layout_.sqDepth; }

private:
	enum class Word { SqTail = 0, CqHead = 8, CqArm = 16 };

	QueueStatus sendable() const noexcept;
	void put(const void *descriptor, size_t size) noexcept;
	bool cqeValid() const noexcept;
	bool copyOldest(void *descriptor, size_t size) const noexcept;
	void advance() noexcept;
	void finishPoll(PollResult &result) noexcept;
	bool stopFlag(size_t fromEnd) const noexcept;
	void ringSq() noexcept;
	void ringCq() noexcept;
	void writeWord(Word word, uint64_t value) noexcept;
	void writeArchitected(uint64_t value) noexcept;

	Layout layout_;
	size_t cqOffset_ = 0;
	unsigned limit_ = 0; /**< requests in flight at most */
	std::byte *words_ = nullptr;
	unsigned tail_ = 0, oldest_ = 0, inFlight_ = 0; /**< SQ slots */
	unsigned cqHead_ = 0, phase_ = 1;
	uint64_t armCount_ = 0;
	bool broken_ = false, stopped_ = false;
};

inline bool Rings::stopFlag(size_t fromEnd) const noexcept
{
	return loadShared<uint32_t>(layout_.dus + layout_.dusSize - fromEnd) != 0;
}

inline void Rings::writeWord(Word word, uint64_t value) noexcept
{
	storeShared(words_ + static_cast<size_t>(word), value);
}

inline void Rings::ringSq() noexcept
{
	if (words_)
		writeWord(Word::SqTail, tail_);
	else
		writeArchitected(doorbell::kSq << doorbell::kCommandShift |
				 uint64_t{tail_} << doorbell::kIndexShift);
}

inline void Rings::ringCq() noexcept
{
	if (words_)
		writeWord(Word::CqHead, cqHead_);
	else
		writeArchitected(doorbell::kCq << doorbell::kCommandShift |
				 uint64_t{cqHead_} << doorbell::kIndexShift);
}

inline QueueStatus Rings::sendable() const noexcept
{
	if (broken_)
		return QueueStatus::Protocol;
	return stopped_ || stopFlag(HISI_QM_DUS_TX_STOP) ? QueueStatus::Stopped : QueueStatus::Ok;
}

inline void Rings::put(const void *descriptor, size_t size) noexcept
{
	std::memcpy(layout_.dus + tail_ * layout_.descriptorSize, descriptor, size);
	tail_ = tail_ + 1 == layout_.sqDepth ? 0 : tail_ + 1;
	inFlight_++;
}

inline bool Rings::cqeValid() const noexcept
{
	const std::byte *entry = layout_.dus + cqOffset_ + cqHead_ * cqe::kSize;
	return (loadShared<uint16_t>(entry + cqe::kPhaseWord) & cqe::kPhase) == phase_;
}

/**
 * Copy the descriptor of the completion at the head. The caller has seen its phase bit, so earlier
 * stores of the device are visible. @return false if it does not belong to the oldest request
 */
inline bool Rings::copyOldest(void *descriptor, size_t size) const noexcept
{
	const std::byte *entry = layout_.dus + cqOffset_ + cqHead_ * cqe::kSize;
	const unsigned slot = loadShared<uint16_t>(entry + cqe::kSqHead);
	const unsigned number = loadShared<uint16_t>(entry + cqe::kSqNumber);
	/* QM-RING-3, QM-RING-6: tasks of a queue complete in the order they were sent. */
	if (inFlight_ == 0 || slot != oldest_ || number != layout_.number)
		return false;
	std::memcpy(descriptor, layout_.dus + slot * layout_.descriptorSize, size);
	return true;
}

inline void Rings::advance() noexcept
{
	oldest_ = oldest_ + 1 == layout_.sqDepth ? 0 : oldest_ + 1;
	inFlight_--;
	if (++cqHead_ == layout_.cqDepth) {
		cqHead_ = 0;
		phase_ ^= 1;
	}
}

inline void Rings::finishPoll(PollResult &result) noexcept
{
	if (result.count)
		ringCq();
	else if (result.status == QueueStatus::Ok && (stopped_ || stopFlag(HISI_QM_DUS_RX_STOP)))
		result.status = QueueStatus::Stopped;
}

} // namespace wd::detail
