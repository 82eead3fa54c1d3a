/* SPDX-License-Identifier: Apache-2.0 */
/* One queue pair: its contexts, its doorbells, and its turn on an engine thread. */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "machine/engine_pool.h"
#include "machine/queue_manager.h"
#include "qm/layout.h"

namespace wd::machine::qm
{

/** The doorbell words of one queue. They are in shared pages, or in the queue pair itself. */
struct DoorbellWords {
	std::atomic<uint64_t> sq, cq, arm;
};

/**
 * The mutex protects all members that a doorbell does not change. An engine thread holds it for one
 * request, the mailbox for one command. Lock order: mailbox, queue, event queue.
 *
 * A request that waits for pages is *parked*: the queue keeps its copy of the descriptor, so that
 * software cannot change it half-way, and the request starts again from the copy when the answer
 * comes. Until then the engine thread finds nothing to do here. An answer with an older ticket than
 * the current one is late, and is ignored.
 */
class QueuePair final : public EngineQueue, public PageRequester
{
public:
	void init(QueueManager::Impl &manager, unsigned index, DoorbellWords *shared);

	/*
	 * Called by the mailbox. @return false if the context makes no sense; then nothing changes.
	 */
	bool loadSq(const SqContext &context);
	bool loadCq(const CqContext &context);
	SqContext dumpSq();
	CqContext dumpCq();
	/**
	 * Begin to stop the queue; the mailbox command ends when it has drained. @return false if
	 * the queue is not running.
	 */
	bool requestStop();
	void deactivate();
	/** Wait for the request that is running. */
	void drain();

	/* Trapped doorbells; lock-free. */
	void ringSq(uint16_t tail);
	void ringCq(uint16_t head, bool arm);
	/** Make the owner thread look at the queue, although no doorbell was rung. */
	void kick() { owner()->wake(*this); }
	DoorbellWords &words() { return *words_; }
	uint16_t key() const { return key_; }
	/** Halves of an architected doorbell that was not written in one access. */
	std::atomic<uint64_t> &latch() { return latch_; }

	bool active() const noexcept override { return active_; }

	/** Lock-free. The call may come while the owner thread still executes the request. */
	void answered(uint64_t token, PageResponse response) noexcept override;

protected:
	bool hasNews() const noexcept override;
	bool step(EngineThread &thread) noexcept override;

private:
	bool takeDoorbells();
	void lookAtDoorbells();
	void ring(std::atomic<uint64_t> &bell, uint16_t index);
	void forgetDoorbells();
	void takeTail(uint16_t tail);
	void takeHead(uint16_t head);
	uint32_t outstanding() const;
	bool awaitsPages() const;
	bool overdue() const;
	bool runOne(EngineThread &thread);
	bool execute(Task &task);
	DmaResult writeBack(EngineThread &thread, const Task &task);
	void postEvent(EngineThread &thread);
	void fault(EngineThread &thread);
	void finishStop();
	void halt();

	/* The members that the sweep reads for an idle queue, in one cache line. */
	alignas(64) DoorbellWords *words_ = nullptr;
	std::atomic<uint64_t> seenSq_{0}, seenCq_{0}, seenArm_{0};
	std::atomic<uint64_t> rings_{0}, seenRings_{0}; /* trapped doorbells */
	std::atomic<bool> active_{false}, pending_{false}, stopRequested_{false};
	std::atomic<bool> executing_{false};
	/** 0, or the token in bits 63:8 and the response, or kAwaited, in bits 7:0. */
	std::atomic<uint64_t> ticket_{0};

	/*
	 * Trapped doorbells: the index in bits 15:0, and a count above, so that a second doorbell
	 * with the same index is a change.
	 */
	alignas(64) std::atomic<uint64_t> trappedSq_{0}, trappedCq_{0}, trappedArm_{0};
	uint64_t seenTrappedSq_ = 0, seenTrappedCq_ = 0, seenTrappedArm_ = 0;
	DoorbellWords own_{};
	std::atomic<uint64_t> latch_{0};
	std::atomic<uint16_t> key_{0};

	QueueManager::Impl *manager_ = nullptr;
	unsigned index_ = 0;
	std::mutex mutex_;
	SqContext sq_{};
	CqContext cq_{};
	bool sqLoaded_ = false, cqLoaded_ = false;
	uint64_t sqBase_ = 0, cqBase_ = 0;
	uint32_t sqDepth_ = 0, cqDepth_ = 0;
	uint32_t sqHead_ = 0, sqTail_ = 0, cqHead_ = 0, cqTail_ = 0;
	bool sqParity_ = false, cqParity_ = false;
	bool phase_ = true, armed_ = false, armRequested_ = false, faulted_ = false;
	uint64_t lastEvent_ = 0; /* event queue sequence number */
	bool stopping_ = false;
	uint64_t stopDeadline_ = 0;
	uint64_t lastToken_ = 0;
	bool parked_ = false; /**< held_ is the request at the head */
	unsigned vanished_ = 0;
	std::array<uint32_t, 32> held_{};
};

} // namespace wd::machine::qm
