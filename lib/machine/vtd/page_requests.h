/* SPDX-License-Identifier: Apache-2.0 */
/* The page request queue (VT-d 7.4). */
#pragma once

#include <mutex>
#include <span>

#include "agent.h"
#include "events.h"
#include "registers.h"

namespace wd::machine::vtd
{

/**
 * Thread-safe. receive() holds the mutex from its look at the tables until the descriptor is in the
 * queue. So after drain(), every request that the old tables let pass is in the queue, and later
 * ones see the new tables. A thread must not take the mutex inside a burst, since the flush that a
 * page request causes (VTD-PRQ-6) closes the agents' gates.
 */
class PageRequestQueue
{
public:
	PageRequestQueue(UnitState &state, RegisterFile &registers, std::mutex &registerMutex,
			 EventLine &event)
		: state_(state),
		  registers_(registers),
		  registerMutex_(registerMutex),
		  event_(event),
		  agent_(state)
	{
	}

	/**
	 * @messages are of one group. If an answer is due at once, the endpoint has it when this
	 * returns.
	 */
	void receive(std::span<const PageRequestMessage> messages) noexcept;
	/** Returns when every message received so far is in the queue or dropped. */
	void drain() { std::lock_guard lock(mutex_); }

private:
	void receive(const PageRequestMessage &message) noexcept;
	void answer(const PageRequestMessage &message, PageResponse response) noexcept;
	bool reserve(bool marker, uint64_t &address);
	void publish();
	void flush(const PageRequestTarget &target, uint64_t address);

	UnitState &state_;
	RegisterFile &registers_;
	std::mutex &registerMutex_;
	EventLine &event_;
	std::mutex mutex_;
	IommuAgent agent_; /**< page requests look at the tables through its caches */
};

} // namespace wd::machine::vtd
