/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers that never wait, and a writer that waits until no reader uses the replaced object.
 */
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace wd::vfio_user
{

/**
 * Usage: a reader enters, loads an atomic pointer, uses the object, leaves. A writer stores a new
 * pointer, calls synchronize(), and then frees the old object.
 *
 * Why this is safe: a reader reads the phase, counts itself in that phase, and only then loads the
 * pointer. If it counts itself after the writer has looked at that counter, it loads the new
 * pointer (sequential consistency). The reader may have read the phase long before, so it can count
 * itself in the phase that is not current. Therefore synchronize() drains that phase, too, before
 * it makes it current. Readers that arrive while it drains count in the other phase, so they cannot
 * delay it for ever.
 */
class ReadGate
{
public:
	/** RAII: enters, and leaves at its end. Any thread may have several at once. */
	class Lease
	{
	public:
		explicit Lease(ReadGate &gate) noexcept : users_(gate.enter()) {}
		~Lease() { users_.fetch_sub(1, std::memory_order_release); }
		Lease(const Lease &) = delete;
		Lease &operator=(const Lease &) = delete;

	private:
		std::atomic<uint32_t> &users_;
	};

	/** Returns when every lease that began before the call has ended. One caller at a time. */
	void synchronize() noexcept
	{
		const unsigned phase = phase_.load(std::memory_order_relaxed);

		drain(phase ^ 1);
		phase_.store(phase ^ 1, std::memory_order_seq_cst);
		drain(phase);
	}

private:
	/* If there are more threads, some share a slot, which only costs time. */
	static constexpr unsigned kSlots = 32;

	struct alignas(64) Slot {
		std::array<std::atomic<uint32_t>, 2> users{};
	};

	static unsigned ownSlot() noexcept
	{
		static std::atomic<unsigned> next{0};
		thread_local const unsigned slot =
			next.fetch_add(1, std::memory_order_relaxed) % kSlots;

		return slot;
	}

	std::atomic<uint32_t> &enter() noexcept
	{
		auto &users = slots_[ownSlot()].users[phase_.load(std::memory_order_seq_cst)];

		users.fetch_add(1, std::memory_order_seq_cst);
		return users;
	}

	void drain(unsigned phase) noexcept
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

	std::array<Slot, kSlots> slots_{};
	std::atomic<unsigned> phase_{0};
};

} // namespace wd::vfio_user
