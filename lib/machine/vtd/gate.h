/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate between an agent's bursts and an invalidation: a lock for two parties. Without
 * contention it costs one atomic exchange. If both wait for it, the invalidation goes first.
 */
#pragma once

#include <atomic>
#include <cstdint>

#include "base/shared_words.h"

namespace wd::machine::vtd
{

class Gate
{
public:
	/** Called by the agent, on one thread. */
	void enter() noexcept
	{
		uint32_t free = 0;

		if (!state_.compare_exchange_strong(free, kBurst, std::memory_order_acquire,
						    std::memory_order_relaxed)) [[unlikely]]
			enterClosed();
	}

	void leave() noexcept
	{
		uint32_t burst = kBurst;

		if (!state_.compare_exchange_strong(burst, 0, std::memory_order_release,
						    std::memory_order_relaxed)) [[unlikely]] {
			state_.fetch_and(~kBurst, std::memory_order_release);
			state_.notify_all();
		}
	}

	/** Called by an invalidation, one thread at a time. Returns when no burst runs. */
	void close() noexcept
	{
		state_.fetch_or(kClosed, std::memory_order_acquire);
		for (unsigned spins = 0; spins < kSpins; spins++) {
			if (!(state_.load(std::memory_order_acquire) & kBurst))
				return;
			cpuRelax();
		}
		for (;;) {
			const uint32_t now = state_.load(std::memory_order_acquire);

			if (!(now & kBurst))
				return;
			state_.wait(now, std::memory_order_acquire);
		}
	}

	void open() noexcept
	{
		state_.fetch_and(~kClosed, std::memory_order_release);
		state_.notify_all();
	}

private:
	static constexpr uint32_t kBurst = 1, kClosed = 2;
	/*
	 * Most bursts copy one request and end within so many rounds. After that, close() sleeps.
	 */
	static constexpr unsigned kSpins = 200;

	void enterClosed() noexcept
	{
		for (;;) {
			uint32_t now = state_.load(std::memory_order_relaxed);

			if (now & kClosed) {
				state_.wait(now, std::memory_order_relaxed);
				continue;
			}
			now = 0;
			if (state_.compare_exchange_weak(now, kBurst, std::memory_order_acquire,
							 std::memory_order_relaxed))
				return;
		}
	}

	std::atomic<uint32_t> state_{0};
};

/** Keeps one agent's gate closed for as long as the object lives. */
class GateClosed
{
public:
	explicit GateClosed(Gate &gate) noexcept : gate_(gate) { gate_.close(); }
	~GateClosed() { gate_.open(); }
	GateClosed(const GateClosed &) = delete;
	GateClosed &operator=(const GateClosed &) = delete;

private:
	Gate &gate_;
};

} // namespace wd::machine::vtd
