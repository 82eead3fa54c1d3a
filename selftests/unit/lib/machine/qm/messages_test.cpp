// SPDX-License-Identifier: Apache-2.0
/* Interrupt messages of a function: how many software allows, masks, and pending bits. */
#include <vector>

#include <gtest/gtest.h>

#include "machine/pci_function.h"

namespace wd::machine::test
{
namespace
{

constexpr unsigned kControl = 2, kMask = 0x10, kPending = 0x14;
constexpr unsigned kEnable = 1;

/** A function with four MSI messages, and software that records which arrive. */
class Sender final : public PciFunction, public InterruptSink
{
public:
	Sender() : PciFunction(0x1234, 0x5678, 0, 0)
	{
		addMsi(4);
		at_ = configRead(pci::kCapabilityPointer, 1);
		setInterruptSink(this);
	}
	~Sender() override { setInterruptSink(nullptr); }

	using PciFunction::raiseInterrupt;
	uint64_t barRead(unsigned, uint64_t, unsigned) override { return 0; }
	void barWrite(unsigned, uint64_t, uint64_t, unsigned) override {}
	void signal(unsigned vector) noexcept override { signals.push_back(vector); }

	/** Write Message Control. @multiple: the logarithm of the number that is enabled. */
	void allow(unsigned multiple, unsigned enable = kEnable)
	{
		configWrite(at_ + kControl, multiple << 4 | enable, 2);
	}
	void mask(uint32_t vectors) { configWrite(at_ + kMask, vectors, 4); }
	unsigned pending() const { return configRead(at_ + kPending, 4); }
	unsigned pendingByte(unsigned n) const { return configRead(at_ + kPending + n, 1); }

	std::vector<unsigned> signals;

protected:
	void resetDevice() override {}

private:
	unsigned at_ = 0;
};

using Vectors = std::vector<unsigned>;

/* QM-FUNC-4 */
TEST(Messages, AreNoMoreThanSoftwareAllocated)
{
	const std::vector<Vectors> arrives = {
		{0, 0, 0, 0}, {0, 1, 0, 1}, {0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}};

	for (unsigned multiple = 0; multiple < arrives.size(); multiple++) {
		Sender sender;

		sender.allow(multiple);
		for (unsigned message = 0; message < 5; message++)
			sender.raiseInterrupt(message);
		EXPECT_EQ(sender.signals, arrives[multiple]) << multiple;
	}
}

/* QM-FUNC-4: a mask belongs to the message that is sent, not to the event. */
TEST(Messages, ThatShareAVectorShareItsMask)
{
	Sender sender;

	sender.allow(0);
	sender.mask(0xe);
	sender.raiseInterrupt(2);
	EXPECT_EQ(sender.signals, Vectors{0});
	sender.mask(0x1);
	sender.raiseInterrupt(2);
	sender.raiseInterrupt(3);
	EXPECT_EQ(sender.signals, Vectors{0});
	sender.mask(0);
	EXPECT_EQ(sender.signals, (Vectors{0, 0})) << "one for both";
}

/* QM-FUNC-5 */
TEST(Messages, ArePendingInTheRegisterAtOnce)
{
	Sender sender;

	sender.allow(2);
	sender.mask(0xf);
	EXPECT_EQ(sender.pending(), 0u);
	sender.raiseInterrupt(0);
	EXPECT_EQ(sender.pending(), 0x1u);
	sender.raiseInterrupt(3);
	EXPECT_EQ(sender.pending(), 0x9u);
	EXPECT_EQ(sender.pendingByte(0), 0x9u);
	EXPECT_EQ(sender.pendingByte(1), 0u);
	sender.mask(0x8);
	EXPECT_EQ(sender.pending(), 0x8u);
	sender.mask(0);
	EXPECT_EQ(sender.pending(), 0u);
	EXPECT_EQ(sender.signals, (Vectors{0, 3}));
}

/* QM-FUNC-5: a function whose messages are disabled sends none, also none that waited. */
TEST(Messages, ThatWaitAreLostWhenSoftwareDisablesThem)
{
	Sender sender;

	sender.allow(2);
	sender.mask(0xf);
	sender.raiseInterrupt(1);
	sender.allow(2, 0);
	EXPECT_TRUE(sender.signals.empty());
	EXPECT_EQ(sender.pending(), 0u);
	sender.allow(2);
	sender.mask(0);
	EXPECT_TRUE(sender.signals.empty());
}

} // namespace
} // namespace wd::machine::test
