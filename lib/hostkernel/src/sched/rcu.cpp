// SPDX-License-Identifier: GPL-2.0-only
/*
 * RCU on liburcu-bp. Callbacks are ours rather than liburcu's: their thread must be stoppable, and
 * they come in batches so that a callback costs no wake-up of its own.
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

#include <linux/rcupdate.h>
#include <linux/slab.h>

namespace wd::hostkernel
{
namespace
{

[[maybe_unused]] char gracePeriod; /* readers release it, for ThreadSanitizer */

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
			/* Let a batch collect, unless a thread waits for it. */
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

int rcu_read_lock_held(void)
{
	return threadState.rcuDepth != 0;
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

void synchronize_rcu_expedited(void)
{
	synchronize_rcu();
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

namespace
{

/* The callback of kfree_rcu() is not a function but the offset of the head in the object. */
constexpr unsigned long kMaxOffset = 4096;

void freeObject(rcu_head *head);

struct Deferred {
	rcu_head head;
	const void *object;
};

} // namespace

void wd_kfree_rcu(struct rcu_head *head, unsigned long offset)
{
	static_assert(sizeof(rcu_head) == 2 * sizeof(void *));
	WARN_ON(offset >= kMaxOffset);
	if (!offset) {
		call_rcu(head, [](rcu_head *h) { kfree(h); });
		return;
	}
	auto *deferred = new Deferred;
	deferred->object = reinterpret_cast<const char *>(head) - offset;
	call_rcu(&deferred->head, freeObject);
}

namespace
{

void freeObject(rcu_head *head)
{
	auto *deferred = container_of(head, Deferred, head);
	kvfree(deferred->object);
	delete deferred;
}

} // namespace

void wd_kfree_rcu_mightsleep(const void *ptr)
{
	might_sleep();
	if (!ptr)
		return;
	synchronize_rcu();
	kvfree(ptr);
}
