// SPDX-License-Identifier: Apache-2.0
/* The interrupt pin of a function: signals, masks, and the devices that may share its line. */
#include "fixture.h"

#include <cerrno>
#include <sched.h>
#include <thread>

#include "machine/pci_function.h"

#include "../../../common/asleep.h"
#include "../hisi_qm/faulty_zip.h"

namespace wd::vfiotest
{

namespace
{

constexpr unsigned kIntx = VFIO_PCI_INTX_IRQ_INDEX, kMsix = VFIO_PCI_MSIX_IRQ_INDEX;
constexpr unsigned kMask = VFIO_IRQ_SET_ACTION_MASK, kUnmask = VFIO_IRQ_SET_ACTION_UNMASK;
constexpr unsigned kTrigger = VFIO_IRQ_SET_ACTION_TRIGGER;
constexpr unsigned kCommand = 0x04, kStatus = 0x06;
constexpr uint32_t kMemory = 2, kMaster = 4, kDisable = 0x400, kPending = 8;
/* Errors of the queue manager: source, mask, and software's way to make one. */
constexpr uint32_t kErrorSource = 0x100000, kErrorMask = 0x100004, kErrorSet = 0x10000c;

/** The owner of a function with a pin. */
class VfioPin : public VfioTest
{
protected:
	explicit VfioPin(const char *address = hisitest::Rig::kSecond) : address_(address) {}
	void SetUp() override
	{
		VfioTest::SetUp();
		ASSERT_EQ(give("wd_vfio", address_), 0);
		take();
	}
	void TearDown() override
	{
		release();
		VfioTest::TearDown();
	}
	void take()
	{
		space_ = std::make_unique<Space>(caller_);
		file_ = std::make_unique<FunctionFile>(caller_);
		ASSERT_EQ(file_->open(nameOf(address_)), 0);
		ASSERT_EQ(file_->bind(space_->fd), 0);
	}
	void release()
	{
		file_.reset();
		space_.reset();
	}
	int connect(int fd) { return file_->signal(kIntx, 0, {fd}); }
	int unmaskBy(int fd) { return file_->signal(kIntx, 0, {fd}, kUnmask); }
	int mask() { return file_->trigger(kIntx, 0, 1, kMask); }
	int unmask() { return file_->trigger(kIntx, 0, 1, kUnmask); }
	int withBool(unsigned action, uint8_t yes)
	{
		struct {
			uint32_t header[5];
			uint8_t data[4];
		} request = {{21, VFIO_IRQ_SET_DATA_BOOL | action, kIntx, 0, 1}, {yes}};

		return file_->ioctl(VFIO_DEVICE_SET_IRQS, &request);
	}
	void setRegister(uint32_t at, uint32_t value)
	{
		EXPECT_EQ(file_->write(2, at, &value, 4), 4);
	}
	/** Let the function have an error, for which it wants an interrupt. */
	virtual void cause()
	{
		setRegister(kErrorMask, 0);
		setRegister(kErrorSet, 1);
	}
	virtual void serve() { setRegister(kErrorSource, 1); }
	/** Nothing comes, also not a little later. */
	static bool quiet(Counter &counter)
	{
		wd::test::settle();
		return counter.take(0) == 0;
	}
	/** Interrupt Disable of the function itself. */
	bool disabled() { return function().configRead(kCommand, 2) & kDisable; }

	const char *address_;
	std::unique_ptr<Space> space_;
	std::unique_ptr<FunctionFile> file_;
	Counter counter_;
};

/** A function without Interrupt Disable: the kernel masks its line. */
class VfioLine : public VfioPin
{
protected:
	VfioLine() : VfioPin(hisitest::Rig::kAddress) {}
	void cause() override { rig_.zip().cause(true); }
	void serve() override { rig_.zip().cause(false); }
};

} // namespace

/* IOMMUFD-VFIO-8 */
TEST_F(VfioPin, SignalsOnceUntilTheOwnerUnmasks)
{
	EXPECT_TRUE(disabled()) << "nobody would serve it yet";
	ASSERT_EQ(connect(counter_.fd), 0);
	EXPECT_FALSE(disabled());
	cause();
	EXPECT_EQ(counter_.take(), 1u);
	EXPECT_TRUE(quiet(counter_)) << "masked";
	EXPECT_TRUE(disabled());
	EXPECT_EQ(file_->config(kCommand, 2) & kDisable, 0u) << "the owner did not write that";
	EXPECT_EQ(file_->config(kStatus, 2) & kPending, kPending);
	EXPECT_EQ(unmask(), 0);
	EXPECT_EQ(counter_.take(), 1u) << "the cause is still there";
	EXPECT_TRUE(disabled());
	serve();
	EXPECT_EQ(file_->config(kStatus, 2) & kPending, 0u);
	EXPECT_EQ(unmask(), 0);
	EXPECT_TRUE(quiet(counter_));
	EXPECT_FALSE(disabled());
	EXPECT_EQ(unmask(), 0) << "not masked";
	cause();
	EXPECT_EQ(counter_.take(), 1u);
}

/* IOMMUFD-VFIO-8: what waits when the owner enables the interrupt is not lost. */
TEST_F(VfioPin, EarlierCauseSignalsAtOnce)
{
	cause();
	ASSERT_EQ(connect(counter_.fd), 0);
	EXPECT_EQ(counter_.take(), 1u);
	EXPECT_TRUE(quiet(counter_));
}

/* IOMMUFD-VFIO-8 */
TEST_F(VfioPin, OwnerMasks)
{
	ASSERT_EQ(connect(counter_.fd), 0);
	for (const bool byte : {false, true}) {
		EXPECT_EQ(byte ? withBool(kMask, 1) : mask(), 0);
		EXPECT_EQ(mask(), 0) << "masks do not add up";
		cause();
		EXPECT_TRUE(quiet(counter_));
		EXPECT_EQ(byte ? withBool(kUnmask, 1) : unmask(), 0);
		EXPECT_EQ(counter_.take(), 1u);
		EXPECT_EQ(withBool(kUnmask, 0), 0) << "no";
		EXPECT_TRUE(quiet(counter_));
		serve();
		EXPECT_EQ(unmask(), 0);
	}
	EXPECT_EQ(withBool(kMask, 0), 0) << "no";
	cause();
	EXPECT_EQ(counter_.take(), 1u);
}

/* IOMMUFD-VFIO-8: a signal unmasks, as QEMU lets KVM do at the end of an interrupt. */
TEST_F(VfioPin, CounterUnmasks)
{
	Counter end, other;

	ASSERT_EQ(connect(counter_.fd), 0);
	ASSERT_EQ(unmaskBy(end.fd), 0);
	cause();
	EXPECT_EQ(counter_.take(), 1u);
	for (unsigned i = 0; i < 3; i++) {
		end.add();
		EXPECT_EQ(counter_.take(), 1u) << "still there";
	}
	EXPECT_EQ(end.take(0), 0u) << "the kernel takes the value";
	serve();
	end.add();
	EXPECT_TRUE(wd::test::eventually([&] { return !disabled(); }));
	EXPECT_TRUE(quiet(counter_));
	EXPECT_EQ(unmaskBy(other.fd), -EBUSY);
	EXPECT_EQ(unmaskBy(-1), 0);
	EXPECT_EQ(unmaskBy(-1), 0);
	cause();
	EXPECT_EQ(counter_.take(), 1u);
	end.add();
	EXPECT_TRUE(quiet(counter_)) << "no longer";
	EXPECT_EQ(end.take(0), 1u);
	end.add();
	ASSERT_EQ(unmaskBy(end.fd), 0);
	EXPECT_EQ(counter_.take(), 1u) << "it had a value";
}

/* IOMMUFD-VFIO-8 */
TEST_F(VfioPin, BadCounters)
{
	Counter end;
	int ends[2];

	ASSERT_EQ(pipe(ends), 0);
	EXPECT_EQ(connect(1 << 19), -EBADF);
	EXPECT_EQ(connect(ends[0]), -EINVAL);
	EXPECT_EQ(unmaskBy(end.fd), -EINVAL) << "not enabled, in spite of the bad ones";
	ASSERT_EQ(connect(counter_.fd), 0);
	EXPECT_EQ(connect(1 << 19), -EBADF);
	EXPECT_EQ(unmaskBy(1 << 19), -EBADF);
	EXPECT_EQ(unmaskBy(ends[0]), -EINVAL);
	ASSERT_EQ(unmaskBy(end.fd), 0);
	EXPECT_EQ(unmaskBy(1 << 19), -EBADF) << "before EBUSY";
	cause();
	EXPECT_EQ(counter_.take(), 1u) << "the counter is as before";
	end.add();
	EXPECT_EQ(counter_.take(), 1u) << "and this one, too";
	close(ends[0]);
	close(ends[1]);
}

/* IOMMUFD-VFIO-8: every allocation fails in turn, and nothing has changed. */
TEST_F(VfioPin, NoMemory)
{
	const auto failing = [](unsigned nth, auto &&request) {
		hostkernel::failNth(hostkernel::FailPoint::Allocation, nth);
		const int ret = request();

		hostkernel::failNth(hostkernel::FailPoint::Allocation, 0);
		return ret;
	};
	Counter end;
	unsigned nth = 1;

	for (; failing(nth, [&] { return connect(counter_.fd); }); nth++) {
		EXPECT_EQ(unmask(), -EINVAL) << "not enabled";
		EXPECT_TRUE(disabled());
		ASSERT_LT(nth, 100u);
	}
	EXPECT_GT(nth, 3u) << "the request, the counter, the interrupt";
	for (nth = 1; failing(nth, [&] { return unmaskBy(end.fd); }); nth++)
		ASSERT_LT(nth, 100u);
	EXPECT_GT(nth, 3u) << "the request, the waiter, the counter";
	cause();
	EXPECT_EQ(counter_.take(), 1u);
	end.add();
	EXPECT_EQ(counter_.take(), 1u);
}

/*
 * Attack: the counter that the interrupt signals also unmasks it, so that the kernel keeps itself
 * busy. This must neither hold a lock nor outlive the connection.
 */
TEST_F(VfioPin, CounterOfItsOwn)
{
	ASSERT_EQ(connect(counter_.fd), 0);
	ASSERT_EQ(unmaskBy(counter_.fd), 0);
	cause();
	for (unsigned i = 0; i < 100; i++) {
		ASSERT_EQ(mask(), 0);
		ASSERT_EQ(unmask(), 0);
	}
	ASSERT_EQ(file_->trigger(kIntx, 0, 0), 0);
	counter_.take(0);
	EXPECT_TRUE(quiet(counter_));
}

/* IOMMUFD-VFIO-8 */
TEST_F(VfioPin, SoftwareFires)
{
	Counter other;

	EXPECT_EQ(file_->trigger(kIntx, 0, 1), -EINVAL) << "not enabled";
	ASSERT_EQ(connect(-1), 0) << "without a counter";
	EXPECT_EQ(file_->trigger(kIntx, 0, 1), 0);
	ASSERT_EQ(connect(counter_.fd), 0);
	EXPECT_EQ(counter_.take(0), 0u);
	EXPECT_EQ(file_->trigger(kIntx, 0, 1), 0);
	EXPECT_EQ(withBool(kTrigger, 0), 0);
	EXPECT_EQ(withBool(kTrigger, 1), 0);
	EXPECT_EQ(counter_.take(), 2u);
	ASSERT_EQ(connect(other.fd), 0) << "replaced";
	cause();
	EXPECT_EQ(other.take(), 1u);
	EXPECT_EQ(counter_.take(0), 0u);
	ASSERT_EQ(connect(-1), 0);
	EXPECT_EQ(unmask(), 0);
	EXPECT_TRUE(quiet(other));
}

/* IOMMUFD-VFIO-8: Interrupt Disable of the owner, and that of the driver, do not lose each other. */
TEST_F(VfioPin, InterruptDisable)
{
	ASSERT_EQ(connect(counter_.fd), 0);
	file_->setConfig(kCommand + 1, kDisable >> 8, 1);
	EXPECT_TRUE(disabled());
	cause();
	EXPECT_TRUE(quiet(counter_));
	EXPECT_EQ(file_->trigger(kIntx, 0, 1), 0);
	EXPECT_EQ(unmask(), 0) << "changes nothing";
	EXPECT_TRUE(quiet(counter_));
	EXPECT_TRUE(disabled());
	file_->setConfig(kCommand, kMemory | kMaster | kDisable, 2);
	EXPECT_TRUE(disabled());
	file_->setConfig(kCommand, kMemory, 1);
	EXPECT_EQ(file_->config(kCommand, 2), kMemory | kDisable);
	EXPECT_TRUE(quiet(counter_));
	file_->setConfig(kCommand, kMemory, 2);
	EXPECT_EQ(counter_.take(), 1u);
	EXPECT_TRUE(disabled()) << "masked by the driver";
	for (const uint32_t command : {kMemory | kMaster, kMemory}) {
		file_->setConfig(kCommand, command, 2);
		EXPECT_TRUE(disabled());
		EXPECT_EQ(file_->config(kCommand, 2), command);
	}
	EXPECT_TRUE(quiet(counter_));
	serve();
	file_->setConfig(kCommand, kMemory | kDisable, 2);
	file_->setConfig(kCommand, kMemory, 2);
	EXPECT_FALSE(disabled()) << "this unmasks, too";
	cause();
	EXPECT_EQ(counter_.take(), 1u);
}

/* IOMMUFD-VFIO-8: the bit counts if it was set before, and not after the ownership. */
TEST_F(VfioPin, EnabledWhileDisabled)
{
	file_->setConfig(kCommand, kMemory | kDisable, 2);
	cause();
	ASSERT_EQ(connect(counter_.fd), 0);
	EXPECT_TRUE(disabled());
	EXPECT_TRUE(quiet(counter_));
	file_->setConfig(kCommand, kMemory, 4);
	EXPECT_EQ(counter_.take(), 1u);
	file_->setConfig(kCommand, kMemory | kDisable, 2);
	release();
	take();
	EXPECT_EQ(file_->config(kCommand, 2) & kDisable, 0u);
	ASSERT_EQ(connect(counter_.fd), 0);
	cause();
	EXPECT_EQ(counter_.take(), 1u);
}

/* IOMMUFD-VFIO-8: one kind at a time, and none while nothing is enabled. */
TEST_F(VfioPin, OneKindAtATime)
{
	Counter message;

	ASSERT_EQ(file_->signal(kMsix, 0, {message.fd}), 0);
	EXPECT_EQ(connect(counter_.fd), -EINVAL);
	EXPECT_EQ(mask(), -EINVAL);
	EXPECT_EQ(unmask(), -EINVAL);
	EXPECT_EQ(file_->trigger(kIntx, 0, 0), -EINVAL);
	ASSERT_EQ(file_->trigger(kMsix, 0, 0), 0);
	EXPECT_TRUE(disabled()) << "nobody would serve it";
	cause();
	ASSERT_EQ(connect(counter_.fd), 0);
	EXPECT_EQ(counter_.take(), 1u);
	EXPECT_EQ(file_->signal(kMsix, 0, {message.fd}), -EINVAL);
	EXPECT_EQ(file_->trigger(kMsix, 0, 0), -EINVAL);
	EXPECT_EQ(unmask(), 0);
	EXPECT_EQ(counter_.take(), 1u) << "still enabled";
	ASSERT_EQ(file_->trigger(kIntx, 0, 0), 0);
	EXPECT_TRUE(disabled());
	EXPECT_EQ(file_->trigger(kIntx, 0, 0), -EINVAL);
	EXPECT_EQ(unmask(), -EINVAL);
	ASSERT_EQ(file_->signal(kMsix, 0, {message.fd}), 0);
	EXPECT_EQ(file_->trigger(kMsix, 0, 1), 0);
	EXPECT_EQ(message.take(), 1u);
}

/* IOMMUFD-VFIO-5, IOMMUFD-VFIO-8 */
TEST_F(VfioPin, BadRequests)
{
	const struct {
		uint32_t flags, start, count;
		int wanted;
	} rows[] = {
		{VFIO_IRQ_SET_DATA_EVENTFD | kMask, 0, 1, -ENOTTY},
		{VFIO_IRQ_SET_DATA_NONE | kMask, 0, 0, -EINVAL},
		{VFIO_IRQ_SET_DATA_NONE | kMask, 0, 2, -EINVAL},
		{VFIO_IRQ_SET_DATA_NONE | kMask, 1, 1, -EINVAL},
		{VFIO_IRQ_SET_DATA_NONE | kUnmask, 0, 0, -EINVAL},
		{VFIO_IRQ_SET_DATA_BOOL | kUnmask, 0, 0, -EINVAL},
		{VFIO_IRQ_SET_DATA_EVENTFD | kUnmask, 0, 0, -EINVAL},
		{VFIO_IRQ_SET_DATA_BOOL | kTrigger, 0, 0, -EINVAL},
		{VFIO_IRQ_SET_DATA_EVENTFD | kTrigger, 0, 0, -EINVAL},
		{VFIO_IRQ_SET_DATA_NONE | kMask | kUnmask, 0, 1, -ENOTTY},
		{VFIO_IRQ_SET_DATA_NONE | kMask | kTrigger, 0, 1, -ENOTTY},
		{VFIO_IRQ_SET_DATA_NONE, 0, 1, -ENOTTY},
		{VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | kMask, 0, 1, -EINVAL},
	};

	ASSERT_EQ(connect(counter_.fd), 0);
	for (const auto &row : rows) {
		uint32_t words[7] = {sizeof(words), row.flags, kIntx, row.start, row.count, 1, 1};

		EXPECT_EQ(file_->ioctl(VFIO_DEVICE_SET_IRQS, words), row.wanted)
			<< row.flags << ' ' << row.start << ' ' << row.count;
	}
	EXPECT_EQ(file_->trigger(kMsix, 0, 1, kMask), -ENOTTY);
	EXPECT_EQ(counter_.take(0), 0u);
	cause();
	EXPECT_EQ(counter_.take(), 1u) << "neither masked nor disabled";
}

/* IOMMUFD-VFIO-8: after a reset the connection is as before, and the cause is gone. */
TEST_F(VfioPin, SurvivesResets)
{
	const unsigned control = file_->capability(0x10) + 8;

	ASSERT_EQ(connect(counter_.fd), 0);
	for (unsigned way = 0; way < 3; way++) {
		cause();
		EXPECT_EQ(counter_.take(), 1u);
		if (way == 0) {
			EXPECT_EQ(file_->reset(), 0);
		} else if (way == 1) {
			EXPECT_EQ(file_->setConfig(control, 0x8000, 2), 2);
		} else {
			EXPECT_EQ(hisitest::Rig::reset(address_), 0);
		}
		EXPECT_TRUE(disabled()) << "still masked";
		EXPECT_EQ(unmask(), 0);
		EXPECT_TRUE(quiet(counter_));
		EXPECT_FALSE(disabled());
		EXPECT_EQ(file_->setConfig(kCommand, kMemory, 2), 2);
	}
	file_->setConfig(kCommand, kMemory | kDisable, 2);
	EXPECT_EQ(file_->reset(), 0);
	EXPECT_TRUE(disabled());
	cause();
	EXPECT_TRUE(quiet(counter_));
}

/* IOMMUFD-VFIO-8: the end of the ownership, by both sides, with a line that is asserted. */
TEST_F(VfioPin, EndsWithTheOwnership)
{
	Counter end;

	ASSERT_EQ(connect(counter_.fd), 0);
	ASSERT_EQ(unmaskBy(end.fd), 0);
	cause();
	EXPECT_EQ(counter_.take(), 1u);
	release();
	EXPECT_TRUE(disabled());
	EXPECT_FALSE(function().configRead(kStatus, 2) & kPending) << "reset";
	end.add();
	EXPECT_TRUE(quiet(counter_));
	EXPECT_EQ(end.take(0), 1u) << "nobody takes the value";
	take();
	EXPECT_EQ(unmask(), -EINVAL) << "the next owner begins anew";
	ASSERT_EQ(connect(counter_.fd), 0);
	ASSERT_EQ(unmaskBy(end.fd), 0) << "and has no counter of the last one";
	cause();
	EXPECT_EQ(counter_.take(), 1u);
	ASSERT_EQ(give("hisi_zip", address_), 0);
	EXPECT_EQ(unmask(), -ENODEV);
	EXPECT_FALSE(function().configRead(kStatus, 2) & kPending);
}

/* IOMMUFD-VFIO-8: calls, writes to the counter and interrupts at the same time. */
TEST_F(VfioPin, EverythingAtOnce)
{
	std::atomic<bool> stop{false};
	Counter end;

	ASSERT_EQ(connect(counter_.fd), 0);
	ASSERT_EQ(unmaskBy(end.fd), 0);
	std::thread device([&] {
		setRegister(kErrorMask, 0);
		while (!stop) {
			setRegister(kErrorSet, 1);
			setRegister(kErrorSource, 1);
		}
	});
	std::thread writer([&] {
		while (!stop) {
			end.add();
			counter_.take(0);
		}
	});
	for (unsigned i = 0; i < 300; i++) {
		EXPECT_EQ(mask(), 0);
		file_->setConfig(kCommand, kMemory | (i & 1 ? kMaster : 0) | (i & 2 ? kDisable : 0),
				 2);
		EXPECT_EQ(unmask(), 0);
		if (i % 16 == 0) {
			EXPECT_EQ(file_->trigger(kIntx, 0, 0), 0);
			EXPECT_EQ(connect(counter_.fd), 0);
			EXPECT_EQ(unmaskBy(end.fd), 0);
		}
	}
	stop = true;
	device.join();
	writer.join();
	EXPECT_EQ(unmaskBy(-1), 0);
	file_->setConfig(kCommand, kMemory, 2);
	setRegister(kErrorSource, 1);
	EXPECT_EQ(unmask(), 0);
	counter_.take(0);
	cause();
	EXPECT_EQ(counter_.take(), 1u) << "no interrupt is lost, no mask is left";
}

/* IOMMUFD-VFIO-8 */
TEST_F(VfioLine, MasksTheLine)
{
	Counter end;

	ASSERT_EQ(connect(counter_.fd), 0);
	EXPECT_EQ(file_->config(0x3d, 1), 1u);
	cause();
	EXPECT_EQ(counter_.take(), 1u);
	EXPECT_TRUE(quiet(counter_));
	EXPECT_EQ(unmask(), 0);
	EXPECT_EQ(counter_.take(), 1u) << "the line is still asserted";
	ASSERT_EQ(unmaskBy(end.fd), 0);
	end.add();
	EXPECT_EQ(counter_.take(), 1u);
	serve();
	EXPECT_EQ(unmask(), 0);
	EXPECT_EQ(mask(), 0);
	EXPECT_EQ(mask(), 0);
	cause();
	EXPECT_TRUE(quiet(counter_));
	EXPECT_EQ(unmask(), 0);
	EXPECT_EQ(counter_.take(), 1u) << "one unmask suffices";
	EXPECT_EQ(file_->trigger(kIntx, 0, 0), 0);
	ASSERT_EQ(connect(counter_.fd), 0);
	EXPECT_EQ(counter_.take(), 1u);
}

/* IOMMUFD-VFIO-8: the owner has Interrupt Disable, although the function has not. */
TEST_F(VfioLine, InterruptDisableIsVirtual)
{
	ASSERT_EQ(connect(counter_.fd), 0);
	file_->setConfig(kCommand, kMemory | kDisable, 2);
	EXPECT_EQ(file_->config(kCommand, 2), kMemory | kDisable);
	cause();
	EXPECT_TRUE(quiet(counter_));
	file_->setConfig(kCommand, kMemory, 2);
	EXPECT_EQ(counter_.take(), 1u);
	EXPECT_EQ(file_->trigger(kIntx, 0, 0), 0);
	file_->setConfig(kCommand, kMemory | kDisable, 2);
	ASSERT_EQ(connect(counter_.fd), 0);
	EXPECT_TRUE(quiet(counter_)) << "disabled from the start";
	file_->setConfig(kCommand, kMemory, 2);
	EXPECT_EQ(counter_.take(), 1u);
	EXPECT_EQ(file_->reset(), 0);
	EXPECT_EQ(unmask(), 0);
	EXPECT_TRUE(quiet(counter_));
}

/* IOMMUFD-VFIO-14: a suspended function does not interrupt; what waits is signalled afterwards. */
TEST_F(VfioPin, IsMaskedInLowPower)
{
	ASSERT_EQ(connect(counter_.fd), 0);
	ASSERT_EQ(file_->enterLowPower(), 0);
	untilSuspended();
	EXPECT_TRUE(disabled());
	function().barWrite(2, kErrorMask, 0, 4);
	function().barWrite(2, kErrorSet, 1, 4);
	EXPECT_TRUE(quiet(counter_));
	ASSERT_EQ(file_->leaveLowPower(), 0);
	EXPECT_EQ(counter_.take(), 1u);
	EXPECT_TRUE(disabled()) << "masked by the signal";
	serve();
	EXPECT_EQ(unmask(), 0);
	EXPECT_FALSE(disabled());
}

/* IOMMUFD-VFIO-14: an interrupt that the owner has masked stays so, until the owner unmasks it. */
TEST_F(VfioPin, LowPowerKeepsTheMaskOfTheOwner)
{
	Counter unmasks;

	ASSERT_EQ(connect(counter_.fd), 0);
	ASSERT_EQ(unmaskBy(unmasks.fd), 0);
	ASSERT_EQ(mask(), 0);
	ASSERT_EQ(file_->enterLowPower(), 0);
	untilSuspended();
	ASSERT_EQ(file_->leaveLowPower(), 0);
	EXPECT_TRUE(disabled());
	ASSERT_EQ(file_->enterLowPower(), 0);
	untilSuspended();
	unmasks.add();
	wd::test::settle();
	EXPECT_TRUE(disabled()) << "it sleeps";
	EXPECT_TRUE(suspended());
	ASSERT_EQ(file_->leaveLowPower(), 0);
	while (disabled())
		sched_yield();
}

/* IOMMUFD-VFIO-14 */
TEST_F(VfioLine, IsMaskedInLowPower)
{
	ASSERT_EQ(connect(counter_.fd), 0);
	ASSERT_EQ(file_->enterLowPower(), 0);
	untilSuspended(address_);
	cause();
	EXPECT_TRUE(quiet(counter_));
	ASSERT_EQ(file_->leaveLowPower(), 0);
	EXPECT_EQ(counter_.take(), 1u);
	serve();
	EXPECT_EQ(unmask(), 0);
}

} // namespace wd::vfiotest
