// SPDX-License-Identifier: Apache-2.0
/* Work items: order, flush, cancellation, delay, and that an item never runs twice at once. */
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "../../../../common/asleep.h"
#include "booted.h"

namespace
{

class WorkqueueTest : public BootedTest
{
protected:
	struct Item {
		work_struct work;
		delayed_work delayed;
		std::atomic<int> runs{0}, inside{0};
		std::atomic<bool> block{false};
	};

	static void run(work_struct *work)
	{
		auto *item = container_of(work, Item, work);
		EXPECT_EQ(item->inside.fetch_add(1), 0);
		while (item->block)
			msleep(1);
		item->runs++;
		item->inside--;
	}
};

TEST_F(WorkqueueTest, OrderedRunsInOrder)
{
	struct Numbered {
		work_struct work;
		int number;
	};
	static std::vector<int> order;
	order.clear();
	workqueue_struct *wq = alloc_ordered_workqueue("ordered", 0);
	ASSERT_NE(wq, nullptr);
	std::vector<Numbered> items(50);
	for (int i = 0; i < 50; i++) {
		INIT_WORK(&items[i].work, [](work_struct *work) {
			order.push_back(container_of(work, Numbered, work)->number);
		});
		items[i].number = i;
		EXPECT_TRUE(queue_work(wq, &items[i].work));
	}
	drain_workqueue(wq);
	ASSERT_EQ(order.size(), 50u);
	EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
	destroy_workqueue(wq);
}

TEST_F(WorkqueueTest, QueuedOnceUntilItRuns)
{
	workqueue_struct *wq = alloc_workqueue("%s", 0, 0, "test");
	Item item;
	INIT_WORK(&item.work, run);
	item.block = true;
	EXPECT_TRUE(queue_work(wq, &item.work));
	while (!item.inside)
		std::this_thread::yield();
	/* A running item can be queued once more. The second run waits for the end of the first. */
	EXPECT_TRUE(queue_work(wq, &item.work));
	EXPECT_FALSE(queue_work(wq, &item.work));
	item.block = false;
	flush_work(&item.work);
	EXPECT_EQ(item.runs, 2);
	EXPECT_FALSE(flush_work(&item.work));
	destroy_workqueue(wq);
}

/*
 * Two items are queued before the one idle worker is awake, and the first waits for the second. In
 * most rounds the worker is slower than this thread.
 */
TEST_F(WorkqueueTest, TwoItemsQueuedTogetherRunTogether)
{
	for (int round = 0; round < 50 && !HasFailure(); round++) {
		workqueue_struct *wq = alloc_workqueue("pair", 0, 2);
		Item first, second;
		INIT_WORK(&first.work, run);
		INIT_WORK(&second.work, run);
		queue_work(wq, &first.work);
		flush_work(&first.work); /* its worker waits now */
		first.block = true;
		queue_work(wq, &first.work);
		queue_work(wq, &second.work);
		EXPECT_TRUE(wd::test::eventually([&] { return second.runs == 1; }));
		first.block = false;
		destroy_workqueue(wq);
	}
}

/* The item waits in the second queue for its own end in the first. */
TEST_F(WorkqueueTest, ARunningItemMayGoToAnotherQueue)
{
	workqueue_struct *here = alloc_workqueue("here", 0, 1),
			 *there = alloc_workqueue("there", 0, 1);
	Item item, other;
	INIT_WORK(&item.work, run);
	INIT_WORK(&other.work, run);
	item.block = true;
	queue_work(here, &item.work);
	while (!item.inside)
		std::this_thread::yield();
	EXPECT_TRUE(queue_work(there, &item.work));
	queue_work(there, &other.work);
	flush_work(&other.work); /* the worker has seen both, and waits now */
	item.block = false;
	EXPECT_TRUE(wd::test::eventually([&] { return item.runs == 2; }));
	queue_work(there, &other.work);
	destroy_workqueue(here);
	destroy_workqueue(there);
	EXPECT_EQ(item.runs, 2);
}

TEST_F(WorkqueueTest, CancelSyncWaitsForTheRunningInstance)
{
	Item item;
	INIT_WORK(&item.work, run);
	item.block = true;
	schedule_work(&item.work);
	while (!item.inside)
		std::this_thread::yield();
	schedule_work(&item.work);
	std::thread releaser([&, canceller = gettid()] {
		wd::test::untilAsleep(canceller);
		item.block = false;
	});
	EXPECT_TRUE(cancel_work_sync(&item.work));
	EXPECT_EQ(item.runs, 1);
	EXPECT_EQ(item.inside, 0);
	EXPECT_FALSE(cancel_work_sync(&item.work));
	releaser.join();
}

TEST_F(WorkqueueTest, DelayedWorkWaitsItsTime)
{
	struct Delayed {
		delayed_work dwork;
		std::atomic<int> runs{0};
	} item;
	INIT_DELAYED_WORK(&item.dwork, [](work_struct *work) {
		container_of(to_delayed_work(work), Delayed, dwork)->runs++;
	});
	EXPECT_TRUE(schedule_delayed_work(&item.dwork, msecs_to_jiffies(60000)));
	EXPECT_FALSE(schedule_delayed_work(&item.dwork, 0));
	EXPECT_TRUE(cancel_delayed_work_sync(&item.dwork));
	EXPECT_EQ(item.runs, 0);
	EXPECT_FALSE(mod_delayed_work(system_wq, &item.dwork, 60000));
	EXPECT_TRUE(mod_delayed_work(system_wq, &item.dwork, 1));
	while (!item.runs)
		std::this_thread::yield();
	EXPECT_FALSE(cancel_delayed_work_sync(&item.dwork));
	EXPECT_EQ(item.runs, 1);
}

TEST_F(WorkqueueTest, AnItemMayFreeItself)
{
	static std::atomic<int> freed;
	freed = 0;
	workqueue_struct *wq = alloc_workqueue("free", 0, 0);
	for (int i = 0; i < 100; i++) {
		auto *work = static_cast<work_struct *>(kzalloc(sizeof(work_struct), GFP_KERNEL));
		INIT_WORK(work, [](work_struct *w) {
			kfree(w);
			freed++;
		});
		queue_work(wq, work);
	}
	drain_workqueue(wq);
	EXPECT_EQ(freed, 100);
	destroy_workqueue(wq);
}

} // namespace
