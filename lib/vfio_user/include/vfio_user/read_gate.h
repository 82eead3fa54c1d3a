/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers that never wait, and a writer that waits until no reader uses the replaced object.
 */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace wd::vfio_user
{

namespace detail
{

/**
 * The slot of the calling thread in every gate, 0 before its first lease. A slot other than
 * kSharedSlot belongs to one living thread.
 */
constexpr unsigned kSlots = 64, kSharedSlot = kSlots - 1;
inline constinit thread_local unsigned threadSlot = 0;

/** Give the thread a slot. kSharedSlot if all others are taken, or without processBarrier(). */
unsigned takeSlot() noexcept;

} // namespace detail

/**
 * Usage: a reader enters, loads an atomic pointer, uses the object, leaves. A writer stores a new
 * pointer, calls synchronize(), and then frees the old object. The load and the store of the
 * pointer are sequentially consistent.
 *
 * Why this is safe: a reader counts itself, and only then loads the pointer. The writer stores the
 * pointer, and only then looks at the counters. If it does not see that the reader has counted
 * itself, the reader loads the new pointer. That needs a full barrier between the two steps on
 * either side. Readers are frequent, so processBarrier() of the writer is the barrier of both sides;
 * readers in the shared slot have one of their own.
 *
 * A reader counts itself in one of two phases, so that those that arrive while the writer waits
 * cannot delay it for ever. It may have read the phase long before, so the writer waits for both.
 */
class ReadGate
{
public:
	/**
	 * RAII: enters, and leaves at its end. A thread may have several at once, which end on it in
	 * reverse order.
	 */
	class Lease
	{
	public:
		explicit Lease(ReadGate &gate) noexcept
			: shared_(inSharedSlot()),
			  users_(gate.users()),
			  before_(users_.load(std::memory_order_relaxed))
		{
			if (shared_) {
				users_.fetch_add(1, std::memory_order_seq_cst);
				return;
			}
			users_.store(before_ + 1, std::memory_order_relaxed);
			/* For the processor, the writer's processBarrier() does the same. */
			std::atomic_signal_fence(std::memory_order_seq_cst);
		}
		~Lease()
		{
			if (shared_)
				users_.fetch_sub(1, std::memory_order_release);
			else
				users_.store(before_, std::memory_order_release);
		}
		Lease(const Lease &) = delete;
		Lease &operator=(const Lease &) = delete;

	private:
		static bool inSharedSlot() noexcept
		{
			const unsigned slot = detail::threadSlot;

			return (slot ? slot : detail::takeSlot()) == detail::kSharedSlot;
		}

		const bool shared_;
		std::atomic<uint32_t> &users_;
		const uint32_t before_; /**< of the thread's own slot */
	};

	/** Returns when every lease that began before the call has ended. One caller at a time. */
	void synchronize() noexcept;

private:
	struct alignas(64) Slot {
		std::array<std::atomic<uint32_t>, 2> users{};
	};

	std::atomic<uint32_t> &users() noexcept
	{
		return slots_[detail::threadSlot].users[phase_.load(std::memory_order_relaxed)];
	}
	void drain(unsigned phase) noexcept;

	std::array<Slot, detail::kSlots> slots_{};
	std::atomic<unsigned> phase_{0};
};

} // namespace wd::vfio_user
