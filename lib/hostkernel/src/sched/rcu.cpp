// SPDX-License-Identifier: GPL-2.0-only
/*
 * RCU on liburcu-bp. This file has callbacks of its own, and does not use those of liburcu:
 * shutdown must be able to stop their thread, and they come in batches, so that a callback does not
 * cost a wake-up.
 */
#include "rcu_grace.h"
#include "thread_state.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <time.h>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#include <hosted/test_hooks.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

namespace wd::hostkernel
{
namespace
{

[[maybe_unused]] char gracePeriod; /* for ThreadSanitizer: readers release it */

class Callbacks
{
public:
	void add(rcu_head *head)
	{
		std::lock_guard lock(mutex_);
		if (!thread_.joinable()) {
			stop_ = false;
			thread_ = std::thread([this] { run(); });
		}
		*tail_ = head;
		tail_ = &head->next;
		added_++;
		if (idle_) {
			idle_ = false;
			work_.notify_one();
		}
	}

	void drain()
	{
		std::unique_lock lock(mutex_);
		uint64_t target = added_;
		hurry_ = true;
		work_.notify_one();
		done_.wait(lock, [&] { return finished_ >= target; });
	}

	void stop()
	{
		std::unique_lock lock(mutex_);
		if (!thread_.joinable())
			return;
		stop_ = true;
		work_.notify_one();
		lock.unlock();
		thread_.join();
		thread_ = {};
	}

private:
	void run()
	{
		std::unique_lock lock(mutex_);
		for (;;) {
			idle_ = true;
			work_.wait(lock, [this] { return stop_ || first_; });
			idle_ = false;
			if (!first_)
				return;
			/* Let callbacks collect into a batch, unless a thread waits for them. */
			work_.wait_for(lock, std::chrono::milliseconds(1),
				       [this] { return stop_ || hurry_; });
			hurry_ = false;
			runBatch(lock);
		}
	}

	void runBatch(std::unique_lock<std::mutex> &lock)
	{
		rcu_head *head = first_;
		first_ = nullptr;
		tail_ = &first_;
		lock.unlock();
		synchronize_rcu();
		uint64_t count = 0;
		while (head) {
			rcu_head *next = head->next;
			head->func(head);
			head = next;
			count++;
		}
		lock.lock();
		finished_ += count;
		done_.notify_all();
	}

	std::mutex mutex_;
	std::condition_variable work_, done_;
	std::thread thread_;
	rcu_head *first_ = nullptr, **tail_ = &first_;
	uint64_t added_ = 0, finished_ = 0;
	bool idle_ = false, hurry_ = false, stop_ = false;
};

Callbacks &callbacks()
{
	static Callbacks *instance = new Callbacks;
	return *instance;
}

} // namespace

void rcuStop()
{
	callbacks().drain();
	callbacks().stop();
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

void rcu_read_lock(void)
{
	graceReadLock();
	threadState.rcuDepth++;
#if defined(__SANITIZE_THREAD__)
	__tsan_acquire(&gracePeriod);
#endif
}

void rcu_read_unlock(void)
{
#if defined(__SANITIZE_THREAD__)
	__tsan_release(&gracePeriod);
#endif
	threadState.rcuDepth--;
	graceReadUnlock();
}

void synchronize_rcu(void)
{
	might_sleep();
#if defined(__SANITIZE_THREAD__)
	__tsan_release(&gracePeriod);
#endif
	graceWait();
#if defined(__SANITIZE_THREAD__)
	__tsan_acquire(&gracePeriod);
#endif
}

void call_rcu(struct rcu_head *head, rcu_callback_t func)
{
	head->next = nullptr;
	head->func = func;
	callbacks().add(head);
}

void rcu_barrier(void)
{
	might_sleep();
	callbacks().drain();
}
