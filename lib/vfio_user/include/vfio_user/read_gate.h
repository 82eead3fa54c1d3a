/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers that never wait, and a writer that waits until no reader can still use the replaced
 * object.
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
 * Why it holds: a reader counts itself in the phase that it saw, and only then loads the pointer. A
 * reader that counts itself after the writer looked at that counter loads the new pointer
 * (sequential consistency). It may have seen the phase long before, so its count can turn up in the
 * phase that is not the current one; synchronize() therefore drains that phase as well, before it
 * makes it current. Readers that arrive while it drains count in the other phase: they cannot delay
 * it for ever.
 */
class ReadGate
{
public:
	/** RAII: between enter and leave. Any thread; nests. */
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

	/** Returns when every lease from before the call has ended. One caller at a time. */
	void synchronize() noexcept
	{
		const unsigned phase = phase_.load(std::memory_order_relaxed);

		drain(phase ^ 1);
		phase_.store(phase ^ 1, std::memory_order_seq_cst);
		drain(phase);
	}

private:
	/* More threads than slots share them; that costs time only. */
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
				/* A lease is a copy of a page or so; a longer one is worth a sleep.
				 */
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
