// SPDX-License-Identifier: Apache-2.0
/* Lines of interrupt pins, which have a level, and the bits of configuration space that belong to them. */
#include "test_function.h"

#include <hosted/test_hooks.h>
#include <linux/interrupt.h>
#include <linux/pci.h>

#include "../../../../common/asleep.h"

namespace
{

using wd::test::eventually;

/** A handler that serves the function: it masks it, or takes its cause. */
struct Server {
	enum class Way { Mask, Serve, Refuse };

	static irqreturn_t onInterrupt(int irq, void *cookie)
	{
		auto *self = static_cast<Server *>(cookie);

		self->irq = irq;
		self->runs++;
		if (self->way == Way::Refuse ||
		    !(self->way == Way::Mask ? pci_check_and_mask_intx(self->dev)
					     : self->function->configRead(6, 2) & 8))
			return IRQ_NONE;
		if (self->way == Way::Serve)
			self->function->cause(false);
		self->served++;
		return IRQ_HANDLED;
	}

	TestFunction *function;
	pci_dev *dev;
	std::atomic<Way> way{Way::Mask};
	std::atomic<unsigned> runs{0}, served{0};
	std::atomic<int> irq{0};
};

class PinTest : public BusTest
{
protected:
	void SetUp() override
	{
		BusTest::SetUp();
		dev_ = pci_get_domain_bus_and_slot(0, 1, 0);
		server_.dev = dev_;
	}
	void TearDown() override
	{
		pci_dev_put(dev_);
		BusTest::TearDown();
	}
	int request(unsigned long flags = IRQF_SHARED)
	{
		return request_irq(dev_->irq, Server::onInterrupt, flags, "t", &server_);
	}
	bool disabled() { return first.configRead(PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE; }
	bool served(unsigned count)
	{
		const bool reached = eventually([&] { return server_.served >= count; });

		wd::test::settle();
		return reached && server_.served == count;
	}

	pci_dev *dev_ = nullptr;
	Server server_{.function = &first, .dev = nullptr};
};

TEST_F(PinTest, HasANumberOfItsOwn)
{
	pci_dev *other = pci_get_domain_bus_and_slot(0, 1, 1);

	EXPECT_NE(dev_->irq, 0u);
	EXPECT_NE(dev_->irq, other->irq);
	EXPECT_TRUE(pci_intx_mask_supported(dev_));
	EXPECT_FALSE(disabled()) << "the probe restores the bit that it tried";
	pci_dev_put(other);
}

TEST_F(PinTest, MaskedFunctionInterruptsOnce)
{
	ASSERT_EQ(request(), 0);
	first.cause(true);
	EXPECT_TRUE(served(1));
	EXPECT_EQ(server_.irq, static_cast<int>(dev_->irq));
	EXPECT_TRUE(disabled());
	EXPECT_FALSE(pci_check_and_unmask_intx(dev_)) << "it still waits";
	EXPECT_TRUE(disabled());
	first.cause(false);
	EXPECT_FALSE(pci_check_and_mask_intx(dev_)) << "nothing waits";
	EXPECT_TRUE(pci_check_and_unmask_intx(dev_));
	EXPECT_FALSE(disabled());
	first.cause(true);
	EXPECT_TRUE(served(2));
	free_irq(dev_->irq, &server_);
}

/* The handler runs until the cause is gone, also one that came before the handler. */
TEST_F(PinTest, LevelStaysUntilServed)
{
	server_.way = Server::Way::Serve;
	first.cause(true);
	ASSERT_EQ(request(0), 0);
	EXPECT_TRUE(served(1));
	first.cause(true);
	EXPECT_TRUE(served(2));
	free_irq(dev_->irq, &server_);
	first.cause(true);
	wd::test::settle();
	EXPECT_EQ(server_.served, 2u) << "no handler";
}

/* A level that goes while the line is disabled is forgotten; one that stays is delivered. */
TEST_F(PinTest, DisabledLine)
{
	server_.way = Server::Way::Serve;
	ASSERT_EQ(request(0), 0);
	disable_irq_nosync(dev_->irq);
	first.cause(true);
	first.cause(false);
	enable_irq(dev_->irq);
	wd::test::settle();
	EXPECT_EQ(server_.runs, 0u);
	disable_irq_nosync(dev_->irq);
	first.cause(true);
	wd::test::settle();
	EXPECT_EQ(server_.runs, 0u);
	enable_irq(dev_->irq);
	EXPECT_TRUE(served(1));
	free_irq(dev_->irq, &server_);
}

TEST_F(PinTest, InterruptDisableKeepsItAway)
{
	server_.way = Server::Way::Serve;
	ASSERT_EQ(request(), 0);
	pci_intx(dev_, 0);
	first.cause(true);
	wd::test::settle();
	EXPECT_EQ(server_.runs, 0u);
	pci_intx(dev_, 1);
	EXPECT_TRUE(served(1));
	free_irq(dev_->irq, &server_);
}

/* With messages the function does not use its pin; Linux also sets Interrupt Disable then. */
TEST_F(PinTest, MessagesReplaceIt)
{
	const unsigned irq = dev_->irq;

	ASSERT_EQ(request(), 0);
	ASSERT_EQ(pci_alloc_irq_vectors(dev_, 1, 1, PCI_IRQ_MSI), 1);
	EXPECT_NE(dev_->irq, irq);
	EXPECT_TRUE(disabled());
	first.cause(true);
	wd::test::settle();
	EXPECT_EQ(server_.runs, 0u);
	pci_free_irq_vectors(dev_);
	EXPECT_EQ(dev_->irq, irq);
	EXPECT_TRUE(served(1));
	free_irq(irq, &server_);
}

TEST_F(PinTest, EnableClearsInterruptDisable)
{
	pci_intx(dev_, 0);
	ASSERT_EQ(pci_enable_device(dev_), 0);
	EXPECT_FALSE(disabled());
	pci_intx(dev_, 0);
	ASSERT_EQ(pci_enable_device(dev_), 0);
	EXPECT_TRUE(disabled()) << "only the first one";
	pci_disable_device(dev_);
	pci_disable_device(dev_);
}

/* Interrupts that nobody wants would keep a processor busy for ever. */
TEST_F(PinTest, NobodyCares)
{
	server_.way = Server::Way::Refuse;
	ASSERT_EQ(request(), 0);
	first.cause(true);
	EXPECT_TRUE(eventually([&] { return server_.runs == 100000; }));
	wd::test::settle();
	EXPECT_EQ(server_.runs, 100000u) << "the line is off";
	free_irq(dev_->irq, &server_);
}

} // namespace
