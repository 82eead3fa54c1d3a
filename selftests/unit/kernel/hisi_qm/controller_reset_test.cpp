// SPDX-License-Identifier: Apache-2.0
/* Hardware errors that need a reset, the reset by the driver, and isolated devices. */
#include "../../../common/asleep.h"
#include "../../../common/trace_file.h"
#include "buffers.h"

#include <atomic>
#include <cerrno>
#include <optional>
#include <poll.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "../hisi_zip/crypto_side.h"
#include "faulty_zip.h"

namespace wd::hisitest
{

namespace
{

constexpr unsigned kRegisters = 2;
/* The registers that set errors, those that tell them, and all errors of QM and engine. */
constexpr uint64_t kQmSet = 0x10000c, kEngineSet = 0x3010a8;
constexpr uint64_t kQmSource = 0x100000, kEngineSource = 0x3010a0;
constexpr unsigned kQmErrors = 15, kEngineErrors = 13;
/* QM-RAS-1 */
constexpr uint32_t kQmResets = 0x6c77, kEngineResets = 0x7fe;
/* Doorbells for queues of others: users can cause these, and the driver leaves them masked. */
constexpr uint32_t kQmMasked = 0x380;

/** The function is reset as often as @resets says. */
class HisiControllerReset : public HisiTest
{
protected:
	void SetUp() override
	{
		HisiTest::SetUp();
		rig_.zip().onReset = [&] {
			resets_++;
			if (breaks_)
				rig_.zip().breakMailbox(kMailboxEqc, FaultyZip::Fault::Status);
		};
	}
	void TearDown() override
	{
		HisiTest::TearDown();
		/* A work item of the kernel calls it, so not before the kernel has gone. */
		rig_.zip().onReset = nullptr;
	}
	void raise(uint64_t reg, uint32_t bit)
	{
		rig_.zip().barWrite(kRegisters, reg, 1u << bit, 4);
	}
	uint32_t source(uint64_t reg)
	{
		return static_cast<uint32_t>(rig_.zip().barRead(kRegisters, reg, 4));
	}
	/** Raise an error that needs a reset, and wait until the device works again. */
	void resetByError()
	{
		const unsigned before = resets_;
		Space space(caller_);
		QueueFile queue(caller_);

		raise(kQmSet, 2);
		ASSERT_TRUE(test::eventually([&] { return resets_ > before; }));
		/* START_Q waits until the function has been started. */
		ASSERT_EQ(makeReady(queue, space), 0);
	}
	static int setStrategy(const std::string &value)
	{
		return hostkernel::sysfsWrite(
			"/sys/class/uacce/" + Rig::deviceName() + "/isolate_strategy", value);
	}

	std::atomic<unsigned> resets_{0};
	/* The device does not start again after its reset. */
	std::atomic<bool> breaks_{false};
};

class HisiControllerResetTraced : public HisiControllerReset
{
protected:
	unsigned resets(int ret) const
	{
		return file_.count("hisi_qm:hisi_qm_error_reset",
				   "dev=0000:75:00\\.0 ret=" + std::to_string(ret));
	}
	TraceFile file_{"all"};
};

int work(QueueFile &queue)
{
	queue.send(kSource, kSize, kDest, kSize);
	return queue.wait();
}

} // namespace

/* QM-RAS-1: the driver clears errors of some kinds, and resets the function for the others. */
TEST_F(HisiControllerReset, EveryErrorIsMended)
{
	unsigned expected = 0;

	for (const bool engine : {false, true})
		for (unsigned bit = 0; bit < (engine ? kEngineErrors : kQmErrors); bit++) {
			const uint64_t set = engine ? kEngineSet : kQmSet;
			const uint64_t reg = engine ? kEngineSource : kQmSource;

			if (!engine && kQmMasked >> bit & 1)
				continue;
			raise(set, bit);
			expected += (engine ? kEngineResets : kQmResets) >> bit & 1;
			EXPECT_TRUE(test::eventually([&] {
				return resets_ == expected && !source(reg);
			})) << (engine ? "engine " : "QM ")
			    << bit;
			/* The next one must not come before the function works again. */
			Space space(caller_);
			QueueFile queue(caller_);

			ASSERT_EQ(makeReady(queue, space), 0);
		}
	EXPECT_EQ(resets_, expected);
}

/* QM-RAS-1 Attack: errors that users can cause reset nothing. */
TEST_F(HisiControllerReset, NotForErrorsOfUsers)
{
	rig_.zip().barWrite(kRegisters, kQmSet, kQmMasked, 4);
	resetByError();
	EXPECT_EQ(resets_, 1u) << "only that one";
}

/* QM-RAS-2: users learn it, and start again on the same file. */
TEST_F(HisiControllerReset, UsersGoOnWithTheSameFile)
{
	Space space(caller_);
	Buffers buffers(space);
	QueueFile queue(caller_);

	ASSERT_EQ(buffers.error, 0);
	ASSERT_EQ(makeReady(queue, space), 0);
	EXPECT_EQ(work(queue), 0);
	raise(kEngineSet, 1);
	ASSERT_TRUE(test::eventually([&] { return queue.poll(0) & POLLERR; }));
	EXPECT_EQ(queue.start(), 0);
	EXPECT_EQ(queue.poll(0) & POLLERR, 0);
	EXPECT_EQ(work(queue), 0);
	EXPECT_EQ(resets_, 1u);
}

/* QM-RAS-2: an error under load. Requests of the kernel are done, and those of users end with an error. */
TEST_F(HisiControllerReset, LosesNoRequestUnderLoad)
{
	std::vector<uint8_t> in(4096, 'w'), out(8192);
	std::atomic<bool> stop{false};
	std::atomic<unsigned> done{0};
	Deflate deflate;
	Space space(caller_);
	Buffers buffers(space);
	QueueFile queue(caller_);

	ASSERT_EQ(buffers.error, 0);
	ASSERT_EQ(makeReady(queue, space), 0);
	std::thread kernel([&] {
		while (!stop) {
			Job job(deflate);

			EXPECT_EQ(job.run(Way::Compress, in.data(), in.size(), out.data(),
					  out.size()),
				  0);
			done++;
		}
	});

	for (unsigned round = 0; round < 5; round++) {
		const unsigned before = done;

		ASSERT_TRUE(test::eventually([&] { return done > before + 3; }));
		queue.send(kSource, kSize, kDest, kSize);
		raise(round % 2 ? kQmSet : kEngineSet, 4);
		ASSERT_TRUE(test::eventually([&] { return queue.poll(0) & POLLERR; }));
		ASSERT_EQ(queue.start(), 0);
		EXPECT_EQ(work(queue), 0);
	}
	stop = true;
	kernel.join();
	EXPECT_EQ(resets_, 5u);
}

/* QM-RAS-2: the driver is unbound while the reset waits for the device's lock. */
TEST_F(HisiControllerReset, EndsWithTheDriver)
{
	for (unsigned round = 0; round < 20; round++) {
		raise(kQmSet, 0);
		ASSERT_EQ(Rig::unbind(), 0);
		ASSERT_EQ(Rig::bind(), 0);
		EXPECT_EQ(source(kQmSource), 0u);
	}
	Space space(caller_);
	Buffers buffers(space);
	QueueFile queue(caller_);

	ASSERT_EQ(buffers.error, 0);
	ASSERT_EQ(makeReady(queue, space), 0);
	EXPECT_EQ(work(queue), 0);
}

/* QM-RAS-2: the machine shuts down while the reset waits for the device's lock. */
TEST_F(HisiControllerResetTraced, NotAfterAShutdown)
{
	std::optional<HeldDevice> held(Rig::kAddress);
	std::atomic<pid_t> shutdown{0};

	raise(kQmSet, 2);
	ASSERT_TRUE(test::eventually(
		[&] { return file_.count("hisi_qm:hisi_qm_error", "dev=.*") == 1; }));
	std::thread machine([&] {
		shutdown = gettid();
		hostkernel::systemShutdown();
	});

	while (!shutdown)
		std::this_thread::yield();
	test::untilAsleep(shutdown);
	held.reset();
	machine.join();
	EXPECT_TRUE(test::eventually([&] { return resets(-ECANCELED) == 1; }));
	EXPECT_FALSE(rig_.zip().busMaster());
	EXPECT_EQ(resets_, 0u);
}

/* QM-RAS-3 */
TEST_F(HisiControllerReset, IsolatesADeviceThatNeedsItTooOften)
{
	EXPECT_EQ(Rig::attribute("isolate_strategy"), "0");
	for (unsigned i = 0; i < 3; i++)
		resetByError();
	EXPECT_EQ(Rig::number("isolate"), 0) << "never by the number of resets";

	for (const char *wrong : {"65536", "-1", "many", ""})
		EXPECT_EQ(setStrategy(wrong), -EINVAL) << wrong;
	EXPECT_EQ(Rig::number("isolate_strategy"), 0);
	ASSERT_EQ(setStrategy("0x2"), 0);
	EXPECT_EQ(Rig::number("isolate_strategy"), 2);
	resetByError();
	ASSERT_EQ(setStrategy("2"), 0) << "the resets so far count no more";
	resetByError();
	resetByError();
	ASSERT_EQ(Rig::reset(), 0) << "one that the administrator asks for does not count";
	EXPECT_EQ(Rig::number("isolate"), 0);
	resetByError();
	EXPECT_EQ(Rig::number("isolate"), 1);
	EXPECT_EQ(setStrategy("0"), -EPERM);
	EXPECT_EQ(Rig::number("isolate_strategy"), 2);

	ASSERT_EQ(Rig::unbind(), 0);
	ASSERT_EQ(Rig::bind(), 0);
	EXPECT_EQ(Rig::number("isolate"), 0) << "the driver begins anew";
}

/* QM-RAS-3: a reset that fails isolates at once. */
TEST_F(HisiControllerReset, AFailedResetIsolates)
{
	breaks_ = true;
	raise(kQmSet, 2);
	EXPECT_TRUE(test::eventually([] { return Rig::number("isolate") == 1; }));
	breaks_ = false;
	rig_.zip().repair();
	QueueFile queue(caller_);

	EXPECT_EQ(queue.open(), -EIO);
}

/* QM-UACCE-5: what older UADK asks for. */
TEST_F(HisiControllerReset, TellsItsNode)
{
	EXPECT_EQ(Rig::attribute("node_id"), "0");
	EXPECT_GE(Rig::number("numa_distance"), 10);
}

} // namespace wd::hisitest
