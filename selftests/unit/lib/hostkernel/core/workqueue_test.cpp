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
	flush_workqueue(wq);
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
	/* It runs: it can be queued once more, and then waits for itself. */
	EXPECT_TRUE(queue_work(wq, &item.work));
	EXPECT_FALSE(queue_work(wq, &item.work));
	EXPECT_EQ(work_busy(&item.work), 3u);
	item.block = false;
	flush_work(&item.work);
	EXPECT_EQ(item.runs, 2);
	EXPECT_FALSE(flush_work(&item.work));
	destroy_workqueue(wq);
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
	EXPECT_TRUE(delayed_work_pending(&item.dwork));
	EXPECT_TRUE(cancel_delayed_work_sync(&item.dwork));
	EXPECT_EQ(item.runs, 0);
	EXPECT_FALSE(mod_delayed_work(system_wq, &item.dwork, 60000));
	EXPECT_TRUE(mod_delayed_work(system_wq, &item.dwork, 1));
	while (!item.runs)
		std::this_thread::yield();
	schedule_delayed_work(&item.dwork, 60000);
	flush_delayed_work(&item.dwork); /* false if the worker was faster */
	EXPECT_EQ(item.runs, 2);
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
