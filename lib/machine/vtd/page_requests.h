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
 * Thread-safe. Its mutex is held from the look at the tables until the descriptor is in the queue,
 * so that a drain (with the unit's command mutex held) knows that every request that passed the old
 * tables is visible, and that later ones see the new tables. It is never taken inside a burst: the
 * implicit flush of a page request (VTD-PRQ-6) closes the agents' gates.
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

	/** All of one group. Answers that are due at once are ready in the endpoint. */
	void receive(std::span<const PageRequestMessage> messages) noexcept;
	/** Returns when everything received so far is in the queue, or dropped. */
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
	IommuAgent agent_; /**< its caches serve page requests */
};

} // namespace wd::machine::vtd
