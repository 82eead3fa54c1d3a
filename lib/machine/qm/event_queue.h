/* SPDX-License-Identifier: Apache-2.0 */
/* The event queue and the asynchronous event queue (QM-EVENT-1 to QM-EVENT-7). */
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "machine/dma.h"
#include "qm/layout.h"

namespace wd::machine::qm
{

/** A way to memory: an agent, and the source in whose name it makes requests. */
struct MemoryPort {
	DmaAgent *agent;
	StreamId stream;
};

/**
 * A ring of 4-byte entries with an interrupt. Thread-safe. If consume() or setMask() returns true,
 * or post() sets @signal, the caller sends the interrupt after the call.
 */
class EventQueue
{
public:
	enum class Result { Posted, NotLoaded, Full, Fault };

	/** @return false if the context makes no sense. */
	bool load(const EventContext &context);
	EventContext dump() const;
	/** Forget the ring; interrupt masked, nothing pending. */
	void reset();

	/**
	 * Append @payload with the phase bit. @last is the sequence number of the sender's newest
	 * entry: while software has not consumed that one, the new one is dropped (QM-EVENT-3).
	 */
	Result post(const MemoryPort &port, uint32_t payload, uint64_t *last, bool &signal);

	/** Doorbell: entries before @head are consumed. */
	bool consume(uint16_t head);
	bool setMask(bool masked);
	bool masked() const { return masked_; }
	bool pending() const { return source_; }
	/** Pending, and not masked. */
	bool asserted() const { return source_ && !masked_; }

private:
	bool raiseSource();

	mutable std::mutex mutex_;
	bool loaded_ = false;
	uint64_t base_ = 0;
	uint32_t dw3_ = 0;
	uint32_t depth_ = 0;
	bool phase_ = true;
	uint64_t head_ = 0, tail_ = 0; /* sequence numbers; an index is the number modulo depth */
	bool deferred_ = false;	       /* pending, but was masked */
	std::atomic<bool> source_{false}, masked_{true};
};

} // namespace wd::machine::qm
