// SPDX-License-Identifier: Apache-2.0
/* Locks, waiting, completions, threads, RCU, reference counts, and that misuse is found. */
#include <atomic>
#include <chrono>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include <hosted/test_hooks.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/kref.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "../../../../common/asleep.h"
#include "booted.h"

namespace
{

class SyncTest : public BootedTest
{
};

TEST(LockDeath, MisuseAborts)
{
	GTEST_FLAG_SET(death_test_style, "threadsafe");
	struct mutex mutex;
	mutex_init(&mutex);
	spinlock_t spin;
	spin_lock_init(&spin);
	EXPECT_DEATH(mutex_unlock(&mutex), "released by another");
	EXPECT_DEATH((mutex_lock(&mutex), mutex_lock(&mutex)), "taken twice");
	EXPECT_DEATH(spin_unlock(&spin), "released by another");
	EXPECT_DEATH((spin_lock(&spin), mutex_lock(&mutex)), "atomic context");
	EXPECT_DEATH((spin_lock(&spin), (void)!kmalloc(1, GFP_KERNEL)), "atomic context");
	EXPECT_DEATH((rcu_read_lock(), msleep(1)), "atomic context");
}

TEST(Lock, AtomicAllocationsAreAllowedUnderASpinlock)
{
	spinlock_t spin;
	unsigned long flags;
	spin_lock_init(&spin);
	spin_lock_irqsave(&spin, flags);
	EXPECT_TRUE(in_atomic());
	void *p = kmalloc(8, GFP_ATOMIC);
	spin_unlock_irqrestore(&spin, flags);
	EXPECT_FALSE(in_atomic());
	EXPECT_NE(p, nullptr);
	kfree(p);
}

TEST(Lock, KnowsItsOwner)
{
	struct mutex mutex;
	mutex_init(&mutex);
	mutex_lock(&mutex);
	EXPECT_TRUE(wd_mutex_held(&mutex));
	std::thread([&] {
		EXPECT_FALSE(wd_mutex_held(&mutex));
		EXPECT_TRUE(mutex_is_locked(&mutex));
		EXPECT_FALSE(mutex_trylock(&mutex));
	}).join();
	mutex_unlock(&mutex);
	EXPECT_FALSE(mutex_is_locked(&mutex));
}

/* Killable waiters wake to look for signals. They must exclude others nevertheless: see TSan. */
TEST_F(SyncTest, KillableWaitersExclude)
{
	constexpr unsigned kThreads = 4, kRounds = 100;
	std::vector<std::thread> threads;
	std::atomic<pid_t> last{0};
	unsigned count = 0;
	struct mutex mutex;

	mutex_init(&mutex);
	mutex_lock(&mutex);
	for (unsigned i = 0; i < kThreads; i++)
		threads.emplace_back([&] {
			last = gettid();
			for (unsigned round = 0; round < kRounds; round++) {
				ASSERT_EQ(mutex_lock_killable(&mutex), 0);
				count++;
				mutex_unlock(&mutex);
			}
		});
	while (!last)
		std::this_thread::yield();
	wd::test::untilAsleep(last);
	EXPECT_EQ(count, 0u);
	mutex_unlock(&mutex);
	for (std::thread &thread : threads)
		thread.join();
	EXPECT_EQ(count, kThreads * kRounds);
}

TEST(Lock, RwsemExcludes)
{
	rw_semaphore sem;
	init_rwsem(&sem);
	down_read(&sem);
	down_read(&sem);
	up_read(&sem);
	EXPECT_TRUE(rwsem_is_locked(&sem));
	up_read(&sem);
	down_write(&sem);
	EXPECT_TRUE(wd_rwsem_held_write(&sem));
	up_write(&sem);
	EXPECT_FALSE(rwsem_is_locked(&sem));
	/* A plain counter under the lock, so that TSan finds a race. */
	int counter = 0;
	std::vector<std::thread> threads;
	for (int t = 0; t < 4; t++)
		threads.emplace_back([&] {
			for (int i = 0; i < 1000; i++) {
				down_write(&sem);
				counter++;
				up_write(&sem);
				down_read(&sem);
				EXPECT_GT(counter, 0);
				up_read(&sem);
			}
		});
	for (auto &thread : threads)
		thread.join();
	EXPECT_EQ(counter, 4000);
}

/* A thread that has a signal of its own, as that of a caller. */
class Victim
{
public:
	template <typename Body>
	explicit Victim(Body body)
		: thread_([this, body] {
			  get_current()->signal = &signal_;
			  id_ = gettid();
			  body();
			  ended_ = true;
		  })
	{
		while (!id_)
			std::this_thread::yield();
	}
	~Victim() { thread_.join(); }
	void kill() { WRITE_ONCE(signal_.wd_killed, true); }
	void untilAsleep() const { wd::test::untilAsleep(id_); }
	bool ends() const
	{
		return wd::test::eventually([this] { return ended_.load(); });
	}

private:
	signal_struct signal_{};
	std::atomic<pid_t> id_{0};
	std::atomic<bool> ended_{false};
	std::thread thread_;
};

TEST(Lock, AKilledCallerWaitsForNoLock)
{
	struct mutex mutex;
	rw_semaphore sem;
	int results[3] = {};

	mutex_init(&mutex);
	init_rwsem(&sem);
	mutex_lock(&mutex);
	down_write(&sem);
	{
		Victim locks([&] { results[0] = mutex_lock_killable(&mutex); });
		Victim reads([&] { results[1] = down_read_killable(&sem); });
		Victim writes([&] { results[2] = down_write_killable(&sem); });

		for (Victim *victim : {&locks, &reads, &writes}) {
			victim->untilAsleep();
			victim->kill();
			EXPECT_TRUE(victim->ends());
		}
		up_write(&sem);
		mutex_unlock(&mutex);
	}
	for (int result : results)
		EXPECT_EQ(result, -EINTR);
	EXPECT_FALSE(rwsem_is_locked(&sem));
	mutex_destroy(&mutex);
}

/* As in Linux, the signal counts only if the lock is not free. */
TEST(Lock, AKilledCallerTakesAFreeLock)
{
	struct mutex mutex;
	rw_semaphore sem;

	mutex_init(&mutex);
	init_rwsem(&sem);
	std::thread([&] {
		signal_struct killed{};

		killed.wd_killed = true;
		get_current()->signal = &killed;
		EXPECT_EQ(mutex_lock_killable(&mutex), 0);
		mutex_unlock(&mutex);
		EXPECT_EQ(down_read_killable(&sem), 0);
		up_read(&sem);
		EXPECT_EQ(down_write_killable(&sem), 0);
		up_write(&sem);
	}).join();
}

/* A reader waits behind a writer that gives up. */
TEST(Lock, AWriterThatGivesUpLetsReadersIn)
{
	rw_semaphore sem;

	init_rwsem(&sem);
	down_read(&sem);
	{
		Victim writer([&] { EXPECT_EQ(down_write_killable(&sem), -EINTR); });

		writer.untilAsleep();
		Victim reader([&] {
			down_read(&sem);
			up_read(&sem);
		});

		reader.untilAsleep();
		writer.kill();
		EXPECT_TRUE(writer.ends());
		EXPECT_TRUE(reader.ends());
		up_read(&sem);
	}
	EXPECT_FALSE(rwsem_is_locked(&sem));
}

TEST(Wait, WakesWhenTheConditionHolds)
{
	wait_queue_head_t wq;
	init_waitqueue_head(&wq);
	std::atomic<int> stage{0};
	std::thread waiter([&] {
		wait_event(wq, stage == 1);
		stage = 2;
		wake_up_all(&wq);
		EXPECT_EQ(wait_event_interruptible(wq, stage == 3), 0);
	});
	stage = 1;
	wake_up(&wq);
	wait_event(wq, stage == 2);
	stage = 3;
	wake_up_interruptible(&wq);
	waiter.join();
	EXPECT_TRUE(list_empty(&wq.head));
}

TEST(Wait, TimesOut)
{
	wait_queue_head_t wq;
	init_waitqueue_head(&wq);
	u64 begin = ktime_get_ns();
	EXPECT_EQ(wait_event_timeout(wq, false, msecs_to_jiffies(20)), 0);
	EXPECT_GE(ktime_get_ns() - begin, 20 * NSEC_PER_MSEC);
	EXPECT_GE(wait_event_timeout(wq, true, msecs_to_jiffies(20)), 1);
}

/* A killed caller does not wait; one whose condition holds does not look for a signal. */
TEST(Wait, AKilledCallerStopsWaiting)
{
	wait_queue_head_t wq;
	std::atomic<int> tries{0};
	int results[3] = {};

	init_waitqueue_head(&wq);
	{
		Victim waits([&] { results[0] = wait_event_killable(wq, false); });
		Victim wakes([&] { results[1] = wait_event_killable(wq, tries == 1); });

		waits.untilAsleep();
		waits.kill();
		EXPECT_TRUE(waits.ends());
		tries = 1;
		wake_up(&wq);
		EXPECT_TRUE(wakes.ends());
		Victim holds([&] {
			get_current()->signal->wd_killed = true;
			/* A condition that is met once: it is not evaluated again. */
			results[2] = wait_event_killable(wq, ++tries == 2);
		});
	}
	EXPECT_EQ(results[0], -EINTR);
	EXPECT_EQ(results[1], 0);
	EXPECT_EQ(results[2], 0);
	EXPECT_EQ(tries, 2);
	EXPECT_TRUE(list_empty(&wq.head));
}

/* A waiter that counts its wake-ups. No thread sleeps. */
class CountedWaiter
{
public:
	CountedWaiter(wait_queue_head_t &wq, unsigned flags) : wq_(&wq)
	{
		init_wait_entry(&entry_, static_cast<int>(flags));
		entry_.func = [](wait_queue_entry *entry, unsigned, int, void *) {
			container_of(entry, CountedWaiter, entry_)->woken_++;
			return 1;
		};
		add_wait_queue(wq_, &entry_);
	}
	~CountedWaiter() { remove_wait_queue(wq_, &entry_); }
	CountedWaiter(const CountedWaiter &) = delete;
	CountedWaiter &operator=(const CountedWaiter &) = delete;
	unsigned woken() const { return woken_; }

private:
	wait_queue_head_t *wq_;
	wait_queue_entry entry_;
	unsigned woken_ = 0;
};

TEST(Wait, ExclusiveWaitersWakeOneByOne)
{
	wait_queue_head_t wq;

	init_waitqueue_head(&wq);
	CountedWaiter plain(wq, 0), first(wq, WQ_FLAG_EXCLUSIVE), second(wq, WQ_FLAG_EXCLUSIVE);
	const auto exclusive = [&] { return first.woken() + second.woken(); };

	wake_up(&wq);
	EXPECT_EQ(plain.woken(), 1u);
	EXPECT_EQ(exclusive(), 1u);
	wake_up_all(&wq);
	EXPECT_EQ(plain.woken(), 2u);
	EXPECT_EQ(exclusive(), 3u);
}

TEST(Completion, Counts)
{
	completion done;
	init_completion(&done);
	EXPECT_EQ(wait_for_completion_timeout(&done, 5), 0u);
	complete(&done);
	complete(&done);
	wait_for_completion(&done);
	EXPECT_EQ(done.done, 1u);
	wait_for_completion(&done);
	EXPECT_EQ(done.done, 0u);
	complete(&done);
	EXPECT_GE(wait_for_completion_timeout(&done, 100), 1u);
	complete(&done);
	reinit_completion(&done);
	EXPECT_EQ(done.done, 0u);
}

/* The completion may be on the waiter's stack, which is gone as soon as the waiter returns. */
TEST(Completion, MayBeOnTheWaitersStack)
{
	for (int i = 0; i < 200; i++) {
		auto *done = new completion;
		init_completion(done);
		std::thread completer([done] { complete(done); });
		wait_for_completion(done);
		/*
		 * The waiter has returned. The completing thread must not touch the completion any
		 * more: ASan and TSan would see that.
		 */
		EXPECT_EQ(done->done, 0u);
		delete done;
		completer.join();
	}
}

TEST(Kthread, StopsAndReturnsItsResult)
{
	std::atomic<int> turns{0};
	auto body = [](void *data) {
		while (!kthread_should_stop()) {
			(*static_cast<std::atomic<int> *>(data))++;
			msleep(1);
		}
		return 42;
	};
	task_struct *task = kthread_run(+body, &turns, "worker/%d", 3);
	ASSERT_FALSE(IS_ERR(task));
	EXPECT_STREQ(task->comm, "worker/3");
	while (turns < 3)
		std::this_thread::yield();
	EXPECT_EQ(kthread_stop(task), 42);
	/* A thread that nobody wakes never runs. */
	task = kthread_create(+body, &turns, "idle");
	EXPECT_EQ(kthread_stop(task), -EINTR);
}

struct Object {
	int value;
	rcu_head rcu;
};

TEST_F(SyncTest, RcuReadersNeverSeeFreedObjects)
{
	Object *shared = static_cast<Object *>(kzalloc(sizeof(Object), GFP_KERNEL));
	std::atomic<bool> stop{false};
	std::thread reader([&] {
		while (!stop) {
			rcu_read_lock();
			EXPECT_GE(rcu_dereference(shared)->value, 0);
			rcu_read_unlock();
		}
	});
	for (int i = 1; i < 500; i++) {
		auto *fresh = static_cast<Object *>(kzalloc(sizeof(Object), GFP_KERNEL));
		fresh->value = i;
		Object *old = shared;
		rcu_assign_pointer(shared, fresh);
		if (i % 50) {
			call_rcu(&old->rcu,
				 [](rcu_head *head) { kfree(container_of(head, Object, rcu)); });
		} else {
			synchronize_rcu();
			kfree(old);
		}
	}
	stop = true;
	reader.join();
	kfree(shared);
}

TEST_F(SyncTest, RcuBarrierWaitsForCallbacks)
{
	static std::atomic<int> called;
	called = 0;
	rcu_head heads[20];
	for (auto &head : heads)
		call_rcu(&head, [](rcu_head *) { called++; });
	rcu_barrier();
	EXPECT_EQ(called, 20);
}

TEST(RefcountDeath, UseAfterZeroWarns)
{
	GTEST_FLAG_SET(death_test_style, "threadsafe");
	refcount_t r;
	refcount_set(&r, 0);
	EXPECT_DEATH(refcount_inc(&r), "use after free");
	EXPECT_DEATH((void)!refcount_dec_and_test(&r), "underflow");
	EXPECT_FALSE(refcount_inc_not_zero(&r));
	refcount_set(&r, INT_MAX);
	EXPECT_DEATH(refcount_inc(&r), "overflow");
}

TEST(Kref, ReleasesOnce)
{
	static int released;
	released = 0;
	kref k;
	kref_init(&k);
	kref_get(&k);
	auto release = [](kref *) { released++; };
	EXPECT_EQ(kref_put(&k, release), 0);
	EXPECT_EQ(kref_put(&k, release), 1);
	EXPECT_EQ(released, 1);
	EXPECT_FALSE(kref_get_unless_zero(&k));
}

} // namespace
