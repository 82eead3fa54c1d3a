// SPDX-License-Identifier: Apache-2.0
/* The interrupt pin: what asserts its line, and what takes it back. */
#include <stdexcept>

#include "rig.h"

namespace wd::machine::test
{

namespace
{

constexpr unsigned kCommand = 0x04, kStatus = 0x06, kPin = 0x3d;
constexpr uint32_t kMemory = 2, kMaster = 4, kDisable = 0x400, kPending = 8;
constexpr uint64_t kEqMask = 0xc, kErrorSource = 0x100000, kErrorMask = 0x100004;
constexpr uint64_t kErrorSet = 0x10000c;
constexpr uint64_t kEngineSource = 0x3010a0, kEngineMask = 0x3010a4, kEngineSet = 0x3010a8;

class Line final : public PinSink
{
public:
	void pinChanged(bool asserted) noexcept override
	{
		EXPECT_NE(asserted, this->asserted) << "only changes are told";
		this->asserted = asserted;
		changes++;
	}
	std::atomic<bool> asserted{false};
	std::atomic<unsigned> changes{0};
};

AcceleratorDescription withPin(unsigned pin)
{
	AcceleratorDescription description = describe();

	description.interruptPin = pin;
	return description;
}

class Pin : public ::testing::Test
{
protected:
	void SetUp() override
	{
		rig.zip.setPinSink(&line);
		rig.start();
		messages(false);
	}
	void TearDown() override { rig.zip.setPinSink(nullptr); }
	void messages(bool on)
	{
		rig.zip.configWrite(rig.capability(pci::kCapMsi) + 2, on ? 0x21 : 0, 2);
	}
	bool pending() { return rig.zip.configRead(kStatus, 2) & kPending; }
	void error()
	{
		rig.reg(kErrorMask, 0);
		rig.reg(kErrorSet, 1);
	}

	Line line;
	Rig rig{withPin(1)};
};

} // namespace

/* QM-FUNC-6 */
TEST(PinNumber, IsInTheRegister)
{
	for (unsigned pin = 0; pin <= 4; pin++) {
		Rig rig(withPin(pin));

		EXPECT_EQ(rig.zip.interruptPin(), pin);
		EXPECT_EQ(rig.zip.configRead(kPin, 1), pin);
		rig.zip.configWrite(kPin, 0xff, 1);
		EXPECT_EQ(rig.zip.configRead(kPin, 1), pin) << "read-only";
	}
	EXPECT_THROW(Rig(withPin(5)), std::logic_error);
}

/* QM-FUNC-6: without a pin nothing is pending, whatever the device does. */
TEST(PinNumber, ZeroIsNoPin)
{
	Line line;
	Rig rig;

	rig.zip.setPinSink(&line);
	rig.start();
	rig.zip.configWrite(rig.capability(pci::kCapMsi) + 2, 0, 2);
	rig.reg(kErrorMask, 0);
	rig.reg(kErrorSet, 1);
	EXPECT_EQ(rig.zip.configRead(kStatus, 2) & kPending, 0u);
	EXPECT_EQ(line.changes, 0u);
	rig.zip.setPinSink(nullptr);
}

/* QM-FUNC-6: a completion asserts the line until the doorbell of the event queue. */
TEST_F(Pin, FollowsTheEventQueue)
{
	rig.startQueue(0, 0);
	EXPECT_FALSE(line.asserted);
	EXPECT_FALSE(pending());
	rig.run(0, Rig::flat(0x40, Rig::kData, 64, Rig::kData, 64));
	ASSERT_TRUE(eventually([&] { return line.asserted.load(); }));
	EXPECT_TRUE(pending());
	EXPECT_EQ(rig.sink.count[0], 0u) << "no message";
	rig.ringEvents(1);
	EXPECT_FALSE(line.asserted);
	EXPECT_FALSE(pending());
	EXPECT_EQ(line.changes, 2u);
}

/* QM-FUNC-6, QM-EVENT-6: events behind the head keep it. */
TEST_F(Pin, StaysWhileEventsAreLeft)
{
	const Sqe quick = Rig::flat(0x40, Rig::kData, 64, Rig::kData, 64);

	rig.startQueue(0, 0);
	rig.startQueue(1, 0);
	rig.run(0, quick);
	rig.run(1, quick);
	ASSERT_TRUE(eventually([&] { return rig.event(1).has_value(); }));
	rig.ringEvents(1);
	EXPECT_TRUE(line.asserted);
	EXPECT_EQ(line.changes, 1u);
	rig.ringEvents(2);
	EXPECT_FALSE(line.asserted);
}

/* QM-FUNC-6: a mask of the queue manager takes the line, but not the cause. */
TEST_F(Pin, FollowsMasksOfTheDevice)
{
	rig.startQueue(0, 0);
	rig.run(0, Rig::flat(0x40, Rig::kData, 64, Rig::kData, 64));
	ASSERT_TRUE(eventually([&] { return line.asserted.load(); }));
	rig.reg(kEqMask, 1);
	EXPECT_FALSE(line.asserted);
	EXPECT_FALSE(pending());
	rig.reg(kEqMask, 0);
	EXPECT_TRUE(line.asserted);
	EXPECT_TRUE(pending());
}

/* QM-FUNC-6 */
TEST_F(Pin, FollowsErrors)
{
	for (const auto &[source, mask, set] :
	     {std::tuple{kErrorSource, kErrorMask, kErrorSet},
	      std::tuple{kEngineSource, kEngineMask, kEngineSet}}) {
		rig.reg(set, 1);
		EXPECT_FALSE(line.asserted) << "masked after a reset";
		rig.reg(mask, 0);
		EXPECT_TRUE(line.asserted);
		rig.reg(set, 2);
		rig.reg(source, 1);
		EXPECT_TRUE(line.asserted) << "the other error is left";
		rig.reg(mask, 2);
		EXPECT_FALSE(line.asserted);
		rig.reg(mask, 0);
		EXPECT_TRUE(line.asserted);
		rig.reg(source, 2);
		EXPECT_FALSE(line.asserted);
	}
}

/* QM-FUNC-6: Interrupt Disable takes the line; Interrupt Status still tells of the cause. */
TEST_F(Pin, InterruptDisable)
{
	error();
	EXPECT_TRUE(line.asserted);
	rig.zip.configWrite(kCommand, kMemory | kMaster | kDisable, 2);
	EXPECT_FALSE(line.asserted);
	EXPECT_TRUE(pending());
	EXPECT_EQ(rig.zip.configRead(kCommand, 4) >> 16 & kPending, kPending) << "as one word";
	EXPECT_EQ(rig.zip.configRead(kStatus, 1) & kPending, kPending);
	EXPECT_EQ(rig.zip.configRead(kStatus + 1, 1) & kPending, 0u);
	rig.zip.configWrite(kCommand, kMemory | kMaster, 2);
	EXPECT_TRUE(line.asserted);
	rig.zip.configWrite(kStatus, 0xffff, 2);
	EXPECT_TRUE(pending()) << "read-only";
}

/* QM-FUNC-6: a function with messages does not use its pin. */
TEST_F(Pin, MessagesReplaceIt)
{
	error();
	for (unsigned control : {rig.capability(pci::kCapMsi), rig.capability(pci::kCapMsix)}) {
		const uint32_t enable = control == rig.capability(pci::kCapMsi) ? 1 : 0x8000;

		EXPECT_TRUE(line.asserted);
		rig.zip.configWrite(control + 2, enable, 2);
		EXPECT_FALSE(line.asserted);
		EXPECT_FALSE(pending());
		rig.zip.configWrite(control + 2, 0, 2);
		EXPECT_TRUE(line.asserted);
	}
	EXPECT_EQ(rig.sink.count[3], 0u) << "the cause came before the messages";
}

/* QM-FUNC-6: both kinds of reset take the cause, and so the line. */
TEST_F(Pin, ResetClearsIt)
{
	for (const bool power : {false, true}) {
		error();
		EXPECT_TRUE(line.asserted);
		if (power)
			rig.zip.powerOn();
		else
			rig.zip.reset();
		EXPECT_FALSE(line.asserted);
		EXPECT_FALSE(pending());
		rig.zip.configWrite(kCommand, kMemory | kMaster, 2);
		EXPECT_FALSE(line.asserted);
	}
}

/* QM-FUNC-6: a new receiver of the line hears of its level. */
TEST_F(Pin, ANewSinkHearsOfTheLevel)
{
	Line other;

	error();
	rig.zip.setPinSink(&other);
	EXPECT_TRUE(other.asserted);
	rig.reg(kErrorSource, 1);
	EXPECT_FALSE(other.asserted);
	EXPECT_TRUE(line.asserted) << "the old one hears nothing more";
	rig.zip.setPinSink(nullptr);
	rig.reg(kErrorSet, 1);
	EXPECT_EQ(other.changes, 2u);
}

} // namespace wd::machine::test
