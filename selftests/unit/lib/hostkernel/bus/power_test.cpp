// SPDX-License-Identifier: Apache-2.0
/* Sleep of the machine as a driver sees it: order, errors, lost state and restored state. */
#include "test_function.h"

#include <atomic>
#include <string>
#include <thread>

#include <hosted/test_hooks.h>
#include <linux/pci.h>
#include <linux/pm.h>
#include <linux/workqueue.h>

#include "../../../../common/asleep.h"

using namespace wd::hostkernel;

namespace
{

/* A driver that records its callbacks in their order: "s0" = suspend of function 0. */
struct Diary {
	static inline std::string lines;
	static inline int answer;
	static inline const char *refuses;

	template <char Letter>
	static int enter(device *dev)
	{
		const char function = dev_name(dev)[11];

		lines += Letter;
		lines += function;
		lines += ' ';
		return refuses && refuses[0] == Letter && refuses[1] == function ? answer : 0;
	}
	static void shutdown(pci_dev *dev) { enter<'x'>(&dev->dev); }
	static int probe(pci_dev *dev, const pci_device_id *)
	{
		const int ret = pci_enable_device(dev);

		if (!ret)
			pci_set_master(dev);
		return ret;
	}
	static void remove(pci_dev *dev) { pci_disable_device(dev); }

	Diary()
	{
		lines.clear();
		refuses = nullptr;
		ops.suspend = enter<'s'>;
		ops.suspend_noirq = enter<'n'>;
		ops.resume_noirq = enter<'N'>;
		ops.resume = enter<'S'>;
		driver.name = "diary";
		driver.id_table = ids;
		driver.probe = probe;
		driver.remove = remove;
		driver.shutdown = shutdown;
		driver.driver.pm = &ops;
	}

	dev_pm_ops ops{};
	pci_device_id ids[2] = {{PCI_DEVICE(kTestVendor, kTestDevice)}, {}};
	pci_driver driver{};
};

class PowerTest : public BusTest
{
protected:
	void SetUp() override
	{
		BusTest::SetUp();
		ASSERT_EQ(__pci_register_driver(&diary_.driver, nullptr, "test"), 0);
		dev_[0] = pci_get_domain_bus_and_slot(0, 1, PCI_DEVFN(0, 0));
		dev_[1] = pci_get_domain_bus_and_slot(0, 1, PCI_DEVFN(0, 1));
	}
	void TearDown() override
	{
		pci_unregister_driver(&diary_.driver);
		for (pci_dev *dev : dev_)
			pci_dev_put(dev);
		BusTest::TearDown();
	}

	Diary diary_;
	pci_dev *dev_[2] = {};
};

TEST_F(PowerTest, SleepsBackwardsAndWakesForwards)
{
	ASSERT_EQ(systemSleep([] { Diary::lines += "- "; }), 0);
	EXPECT_EQ(Diary::lines, "s1 s0 n1 n0 - N0 N1 S0 S1 ");
}

TEST_F(PowerTest, ALinkMakesTheConsumerSleepFirst)
{
	ASSERT_TRUE(device_link_add(&dev_[0]->dev, &dev_[1]->dev, DL_FLAG_STATELESS));
	ASSERT_EQ(systemSleep(), 0);
	EXPECT_EQ(Diary::lines, "s0 s1 n0 n1 N1 N0 S1 S0 ");
	/* Links must not form a circle. */
	EXPECT_FALSE(device_link_add(&dev_[1]->dev, &dev_[0]->dev, DL_FLAG_STATELESS));
	device_link_remove(&dev_[0]->dev, &dev_[1]->dev);
	ASSERT_TRUE(device_link_add(&dev_[1]->dev, &dev_[0]->dev, DL_FLAG_STATELESS));
	Diary::lines.clear();
	systemShutdown();
	EXPECT_EQ(Diary::lines, "x1 x0 ");
}

TEST_F(PowerTest, LinksAreCountedAndGoWithTheDevice)
{
	device *first = &dev_[0]->dev, *second = &dev_[1]->dev;

	ASSERT_TRUE(device_link_add(first, second, DL_FLAG_STATELESS));
	ASSERT_TRUE(device_link_add(first, second, DL_FLAG_STATELESS));
	device_link_remove(first, second);
	EXPECT_FALSE(device_link_add(second, first, DL_FLAG_STATELESS));
	pci_stop_and_remove_bus_device_locked(dev_[0]);
	device_link_remove(first, second);
}

TEST_F(PowerTest, WhoRefusesKeepsEverybodyAwake)
{
	Diary::answer = -EBUSY;
	Diary::refuses = "s0";
	EXPECT_EQ(systemSleep([] { FAIL(); }), -EBUSY);
	EXPECT_EQ(Diary::lines, "s1 s0 S1 ");
	Diary::lines.clear();
	Diary::refuses = "n0";
	EXPECT_EQ(systemSleep([] { FAIL(); }), -EBUSY);
	EXPECT_EQ(Diary::lines, "s1 s0 n1 n0 N1 S0 S1 ");
	EXPECT_EQ(first.resets, 0u);
}

TEST_F(PowerTest, StateIsLostAndTheBusRestoresWhatIsStandard)
{
	void *io = pci_iomap(dev_[0], kRegisters, 0);

	ASSERT_TRUE(io);
	writel(0x1234, io);
	first.configWrite(0x40 + 0x3c + 0x18 + 0xc + 0xc, 0x10001, 4);
	ASSERT_EQ(systemSleep([&] {
			  EXPECT_FALSE(first.busMaster());
			  EXPECT_FALSE(first.routing());
		  }),
		  0);
	EXPECT_EQ(readl(io), 0u);
	EXPECT_TRUE(first.busMaster());
	EXPECT_FALSE(first.routing());
	pci_iounmap(dev_[0], io);
}

TEST_F(PowerTest, MessagesComeAgain)
{
	std::atomic<unsigned> came{0};

	ASSERT_EQ(pci_alloc_irq_vectors(dev_[0], 2, 2, PCI_IRQ_MSIX), 2);
	ASSERT_EQ(request_irq(
			  static_cast<unsigned>(pci_irq_vector(dev_[0], 1)),
			  [](int, void *count) {
				  ++*static_cast<std::atomic<unsigned> *>(count);
				  return IRQ_HANDLED;
			  },
			  0, "test", &came),
		  0);
	ASSERT_EQ(systemSleep(), 0);
	first.raise(1);
	while (!came)
		std::this_thread::yield();
	free_irq(static_cast<unsigned>(pci_irq_vector(dev_[0], 1)), &came);
	pci_free_irq_vectors(dev_[0]);
}

/* A caller that enters the kernel during the sleep waits until the machine is awake again. */
TEST_F(PowerTest, UsersStandStill)
{
	std::atomic<pid_t> entering{0};
	std::atomic<bool> done{false};
	std::thread user;

	ASSERT_EQ(systemSleep([&] {
			  user = std::thread([&] {
				  entering = gettid();
				  Caller::self()->open("/dev/nothing", 0);
				  done = true;
			  });
			  while (!entering)
				  std::this_thread::yield();
			  wd::test::untilAsleep(entering);
			  EXPECT_FALSE(done);
		  }),
		  0);
	user.join();
	EXPECT_TRUE(done);
}

/* Work for a freezable queue. */
struct Item {
	work_struct work;
	pid_t sleeper;
	std::atomic<bool> running{false}, ended{false};

	explicit Item(pid_t thread) : sleeper(thread)
	{
		INIT_WORK(&work, [](work_struct *entry) {
			auto *item = container_of(entry, Item, work);

			item->running = true;
			if (item->sleeper)
				wd::test::untilAsleep(item->sleeper);
			item->ended = true;
		});
	}
};

TEST_F(PowerTest, FreezableWorkStandsStill)
{
	Item item(0);

	ASSERT_EQ(systemSleep([&] {
			  EXPECT_TRUE(queue_work(system_freezable_wq, &item.work));
			  wd::test::settle();
			  EXPECT_FALSE(item.running);
		  }),
		  0);
	flush_work(&item.work);
	EXPECT_TRUE(item.ended);
}

TEST_F(PowerTest, ASleepWaitsForFreezableWork)
{
	Item item(gettid());

	queue_work(system_freezable_wq, &item.work);
	while (!item.running)
		std::this_thread::yield();
	ASSERT_EQ(systemSleep([&] { EXPECT_TRUE(item.ended); }), 0);
}

} // namespace
