// SPDX-License-Identifier: Apache-2.0
#include "test_function.h"

#include <hosted/test_hooks.h>
#include <linux/interrupt.h>
#include <linux/pci.h>
#include <linux/spinlock.h>

#include <chrono>
#include <thread>

#include "../../../../common/asleep.h"

namespace
{

using namespace std::chrono_literals;

using wd::test::eventually;

struct Counter {
	std::atomic<unsigned> hard{0}, threaded{0};
	std::atomic<bool> hardAtomic{false}, threadAtomic{true}, block{false}, inside{false};

	static irqreturn_t onHard(int, void *cookie)
	{
		auto *self = static_cast<Counter *>(cookie);

		self->hardAtomic = in_atomic();
		self->hard++;
		return IRQ_WAKE_THREAD;
	}

	static irqreturn_t onThread(int, void *cookie)
	{
		auto *self = static_cast<Counter *>(cookie);

		self->threadAtomic = in_atomic();
		self->inside = true;
		while (self->block)
			std::this_thread::sleep_for(1ms);
		self->inside = false;
		self->threaded++;
		return IRQ_HANDLED;
	}
};

class IrqTest : public BusTest
{
protected:
	void SetUp() override
	{
		BusTest::SetUp();
		dev_ = pci_get_domain_bus_and_slot(0, 1, 0);
	}

	void TearDown() override
	{
		pci_free_irq_vectors(dev_);
		pci_dev_put(dev_);
		BusTest::TearDown();
	}

	unsigned irq(unsigned vector)
	{
		return static_cast<unsigned>(pci_irq_vector(dev_, vector));
	}

	pci_dev *dev_ = nullptr;
	Counter counter_;
};

TEST_F(IrqTest, MsixDelivers)
{
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 1, 8, PCI_IRQ_MSIX | PCI_IRQ_MSI), 4);
	EXPECT_TRUE(dev_->msix_enabled);
	EXPECT_GE(first.tableWrites, 16u);
	ASSERT_EQ(
		request_threaded_irq(irq(2), Counter::onHard, Counter::onThread, 0, "t", &counter_),
		0);
	first.raise(1);
	first.raise(2);
	EXPECT_TRUE(eventually([&] { return counter_.threaded == 1; }));
	EXPECT_EQ(counter_.hard, 1u);
	EXPECT_TRUE(counter_.hardAtomic) << "the hard handler must not sleep";
	EXPECT_FALSE(counter_.threadAtomic) << "the threaded one may";
	EXPECT_STREQ(static_cast<const char *>(free_irq(irq(2), &counter_)), "t");
}

TEST_F(IrqTest, MsiDelivers)
{
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 1, 4, PCI_IRQ_MSI), 4);
	EXPECT_TRUE(dev_->msi_enabled);
	EXPECT_EQ(dev_->irq, irq(0));
	ASSERT_EQ(request_irq(irq(3), Counter::onHard, 0, "t", &counter_), 0);
	first.raise(3);
	EXPECT_TRUE(eventually([&] { return counter_.hard == 1; }));
	free_irq(irq(3), &counter_);
}

TEST_F(IrqTest, VectorCounts)
{
	EXPECT_EQ(pci_alloc_irq_vectors(dev_, 5, 8, PCI_IRQ_MSIX | PCI_IRQ_MSI), -ENOSPC);
	EXPECT_EQ(pci_alloc_irq_vectors(dev_, 0, 8, PCI_IRQ_MSIX), -ERANGE);
	EXPECT_EQ(pci_alloc_irq_vectors(dev_, 3, 2, PCI_IRQ_MSIX), -ERANGE);
	EXPECT_EQ(pci_alloc_irq_vectors(dev_, 1, 1, PCI_IRQ_LEGACY), -ENOSPC);
	EXPECT_EQ(pci_irq_vector(dev_, 0), -EINVAL);
	EXPECT_EQ(pci_msix_vec_count(dev_), 4);
	EXPECT_EQ(pci_msi_vec_count(dev_), 4);
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 1, 3, PCI_IRQ_MSI), 3);
	EXPECT_EQ(pci_irq_vector(dev_, 3), -EINVAL);
	EXPECT_EQ(pci_alloc_irq_vectors(dev_, 1, 1, PCI_IRQ_MSIX), -EINVAL) << "already enabled";
	EXPECT_EQ(irq(1), irq(0) + 1) << "MSI numbers are consecutive";
}

TEST_F(IrqTest, NumbersAreGivenBackAndReused)
{
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 4, 4, PCI_IRQ_MSIX), 4);
	const unsigned before = irq(0);

	pci_free_irq_vectors(dev_);
	EXPECT_EQ(request_irq(before, Counter::onHard, 0, "t", &counter_), -EINVAL);
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 4, 4, PCI_IRQ_MSIX), 4);
	EXPECT_EQ(irq(0), before);
}

TEST_F(IrqTest, RequestErrors)
{
	Counter other;

	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 1, 1, PCI_IRQ_MSIX), 1);
	EXPECT_EQ(request_irq(5000, Counter::onHard, 0, "t", &counter_), -EINVAL);
	EXPECT_EQ(request_irq(IRQ_NOTCONNECTED, Counter::onHard, 0, "t", &counter_), -ENOTCONN);
	EXPECT_EQ(request_threaded_irq(irq(0), nullptr, nullptr, 0, "t", &counter_), -EINVAL);
	EXPECT_EQ(request_irq(irq(0), Counter::onHard, IRQF_SHARED, "t", nullptr), -EINVAL);
	ASSERT_EQ(request_irq(irq(0), Counter::onHard, 0, "t", &counter_), 0);
	EXPECT_EQ(request_irq(irq(0), Counter::onHard, 0, "t", &other), -EBUSY);
	EXPECT_EQ(request_irq(irq(0), Counter::onHard, IRQF_SHARED, "t", &other), -EBUSY);
	free_irq(irq(0), &counter_);
}

TEST_F(IrqTest, SharedHandlersAllRun)
{
	Counter other;

	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 1, 1, PCI_IRQ_MSIX), 1);
	ASSERT_EQ(request_irq(irq(0), Counter::onHard, IRQF_SHARED, "a", &counter_), 0);
	ASSERT_EQ(request_irq(irq(0), Counter::onHard, IRQF_SHARED, "b", &other), 0);
	first.raise(0);
	EXPECT_TRUE(eventually([&] { return counter_.hard && other.hard; }));
	free_irq(irq(0), &counter_);
	first.raise(0);
	EXPECT_TRUE(eventually([&] { return other.hard == 2; }));
	EXPECT_EQ(counter_.hard, 1u);
	free_irq(irq(0), &other);
}

TEST_F(IrqTest, FreeWaitsForTheHandler)
{
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 1, 1, PCI_IRQ_MSIX), 1);
	counter_.block = true;
	ASSERT_EQ(request_threaded_irq(irq(0), nullptr, Counter::onThread, IRQF_ONESHOT, "t",
				       &counter_),
		  0);
	first.raise(0);
	ASSERT_TRUE(eventually([&] { return counter_.inside.load(); }));
	std::thread release([&, freer = gettid()] {
		wd::test::untilAsleep(freer);
		counter_.block = false;
	});

	free_irq(irq(0), &counter_);
	EXPECT_FALSE(counter_.inside);
	EXPECT_EQ(counter_.threaded, 1u);
	release.join();
	first.raise(0);
}

TEST_F(IrqTest, SignalDoesNotWaitForTheHandler)
{
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 1, 1, PCI_IRQ_MSIX), 1);
	counter_.block = true;
	ASSERT_EQ(
		request_threaded_irq(irq(0), Counter::onHard, Counter::onThread, 0, "t", &counter_),
		0);
	first.raise(0);
	ASSERT_TRUE(eventually([&] { return counter_.inside.load(); }));
	for (int i = 0; i < 1000; i++)
		first.raise(0);
	counter_.block = false;
	/* All interrupts that came meanwhile cause one more run. */
	EXPECT_TRUE(eventually([&] { return counter_.threaded == 2; }));
	free_irq(irq(0), &counter_);
	EXPECT_EQ(counter_.hard, 2u);
}

TEST_F(IrqTest, ASleepingHandlerDoesNotHoldUpOtherVectors)
{
	Counter other;

	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 2, 2, PCI_IRQ_MSIX), 2);
	counter_.block = true;
	ASSERT_EQ(request_threaded_irq(irq(0), nullptr, Counter::onThread, IRQF_ONESHOT, "t",
				       &counter_),
		  0);
	ASSERT_EQ(request_irq(irq(1), Counter::onHard, 0, "t", &other), 0);
	first.raise(0);
	ASSERT_TRUE(eventually([&] { return counter_.inside.load(); }));
	first.raise(1);
	EXPECT_TRUE(eventually([&] { return other.hard == 1; }));
	counter_.block = false;
	free_irq(irq(0), &counter_);
	free_irq(irq(1), &other);
}

TEST_F(IrqTest, DisabledInterruptIsDeliveredAfterwards)
{
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 1, 1, PCI_IRQ_MSIX), 1);
	ASSERT_EQ(request_irq(irq(0), Counter::onHard, 0, "t", &counter_), 0);
	disable_irq(irq(0));
	disable_irq(irq(0));
	first.raise(0);
	enable_irq(irq(0));
	wd::test::settle();
	EXPECT_EQ(counter_.hard, 0u) << "still disabled once";
	enable_irq(irq(0));
	EXPECT_TRUE(eventually([&] { return counter_.hard == 1; }));
	synchronize_irq(irq(0));
	free_irq(irq(0), &counter_);
}

TEST_F(IrqTest, NoAutoEnable)
{
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 1, 1, PCI_IRQ_MSIX), 1);
	ASSERT_EQ(request_irq(irq(0), Counter::onHard, IRQF_NO_AUTOEN, "t", &counter_), 0);
	first.raise(0);
	wd::test::settle();
	EXPECT_EQ(counter_.hard, 0u);
	enable_irq(irq(0));
	EXPECT_TRUE(eventually([&] { return counter_.hard == 1; }));
	free_irq(irq(0), &counter_);
}

TEST_F(IrqTest, RaisingWhileHandlersComeAndGo)
{
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 4, 4, PCI_IRQ_MSIX), 4);
	std::atomic<bool> stop{false};
	std::vector<std::thread> engines;

	for (unsigned t = 0; t < 2; t++)
		engines.emplace_back([&, t] {
			for (unsigned i = t; !stop; i++) {
				first.raise(i % 4);
				if (i % 64 == 0)
					std::this_thread::yield();
			}
		});
	for (int round = 0; round < 50; round++) {
		const unsigned vector = static_cast<unsigned>(round) % 4;

		ASSERT_EQ(request_threaded_irq(irq(vector), Counter::onHard, Counter::onThread, 0,
					       "t", &counter_),
			  0);
		const unsigned before = counter_.hard;
		EXPECT_TRUE(eventually([&] { return counter_.hard > before; }));
		free_irq(irq(vector), &counter_);
	}
	pci_free_irq_vectors(dev_);
	stop = true;
	for (auto &engine : engines)
		engine.join();
	EXPECT_GT(counter_.hard, 0u);
}

} // namespace
