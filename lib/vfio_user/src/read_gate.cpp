// SPDX-License-Identifier: Apache-2.0
#include "vfio_user/read_gate.h"

#include <bitset>
#include <chrono>
#include <mutex>
#include <thread>

#include "base/process_barrier.h"

namespace wd::vfio_user
{

namespace
{

/** The slots that belong to a thread. Slot 0 is nobody's. */
struct TakenSlots {
	std::mutex mutex;
	std::bitset<detail::kSlots> taken{1};
};

/* Needs no destructor: threads may end later. */
constinit TakenSlots takenSlots;

/** Gives the slot back when the thread ends. */
struct SlotOwner {
	unsigned slot = detail::kSharedSlot;

	SlotOwner() noexcept
	{
		std::lock_guard lock(takenSlots.mutex);

		for (unsigned i = 1; i < detail::kSharedSlot && slot == detail::kSharedSlot; i++)
			if (!takenSlots.taken[i])
				takenSlots.taken[slot = i] = true;
	}
	~SlotOwner()
	{
		std::lock_guard lock(takenSlots.mutex);

		if (slot != detail::kSharedSlot)
			takenSlots.taken[slot] = false;
		/* For leases in destructors of other objects of the thread. */
		detail::threadSlot = detail::kSharedSlot;
	}
};

} // namespace

unsigned detail::takeSlot() noexcept
{
	if (haveProcessBarrier()) {
		thread_local const SlotOwner owner;

		threadSlot = owner.slot;
	} else {
		threadSlot = kSharedSlot;
	}
	return threadSlot;
}

void ReadGate::synchronize() noexcept
{
	const unsigned phase = phase_.load(std::memory_order_relaxed);

	if (haveProcessBarrier())
		processBarrier();
	drain(phase ^ 1);
	phase_.store(phase ^ 1, std::memory_order_relaxed);
	drain(phase);
}

void ReadGate::drain(unsigned phase) noexcept
{
	for (Slot &slot : slots_)
		for (unsigned spins = 0; slot.users[phase].load(std::memory_order_seq_cst);
		     spins++) {
			/* A usual lease copies about a page. If it lasts longer, sleep. */
			if (spins < 100)
				std::this_thread::yield();
			else
				std::this_thread::sleep_for(std::chrono::microseconds(50));
		}
}

} // namespace wd::vfio_user
