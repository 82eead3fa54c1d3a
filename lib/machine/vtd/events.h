/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event state machine that fault, invalidation and page-request events share (VT-d 7.3).
 */
#pragma once

#include <atomic>
#include <cstdint>

#include "registers.h"

namespace wd::machine::vtd
{

/** MSI-X message numbers of the unit. */
enum class Message : unsigned { Fault = 0, Invalidation = 1, PageRequest = 2 };

/**
 * Messages that wait to be sent. The unit posts them with the register mutex held and sends them
 * without it, so that an interrupt sink may read registers.
 */
class Outbox
{
public:
	void post(Message message)
	{
		pending_.fetch_or(1u << static_cast<unsigned>(message), std::memory_order_release);
	}
	/** Take all waiting messages. Bit n stands for message n. */
	uint32_t take()
	{
		if (!pending_.load(std::memory_order_relaxed))
			return 0;
		return pending_.exchange(0, std::memory_order_acq_rel);
	}

private:
	std::atomic<uint32_t> pending_{0};
};

/** One event group. Not thread-safe: the unit's register mutex covers it. */
class EventLine
{
public:
	/**
	 * @status: the status register, @conditions: the bits of it that belong to the group,
	 * @control: FECTL, IECTL or PECTL.
	 */
	EventLine(RegisterFile &registers, Outbox &outbox, unsigned status, uint32_t conditions,
		  unsigned control, Message message)
		: registers_(registers),
		  outbox_(outbox),
		  status_(status),
		  conditions_(conditions),
		  control_(control),
		  message_(message)
	{
	}

	/**
	 * Set status @bits. This causes an event only if no status bit of the group was set before
	 * (VTD-EVENT-3).
	 */
	void raise(uint32_t bits);
	/** Software wrote the control register (VTD-EVENT-1). */
	void controlWritten();
	/** Software or hardware cleared status bits (VTD-EVENT-2). */
	void statusCleared();

private:
	RegisterFile &registers_;
	Outbox &outbox_;
	const unsigned status_;
	const uint32_t conditions_;
	const unsigned control_;
	const Message message_;
};

} // namespace wd::machine::vtd
