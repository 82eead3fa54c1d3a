// SPDX-License-Identifier: Apache-2.0
/* Requests with missing memory: page requests, waiting queues, and all ways in which they end. */
#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "fault_rig.h"

namespace wd::machine::test
{

namespace
{

constexpr unsigned kQueue = 0;
constexpr uint32_t kPasid = 5;
constexpr uint64_t kIn = 0x7f0000000000, kOut = 0x7f1000000000;
constexpr uint32_t kBusError = 3, kStopped = 4;

class PageFaults : public ::testing::Test
{
protected:
	void SetUp() override
	{
		rig.addPasid(kPasid);
		rig.addPasid(kPasid + 1);
		rig.startQueue(kQueue, 0, kPasid);
		rig.startQueue(1, 0, kPasid + 1);
	}
	bool done(unsigned queue, unsigned slot)
	{
		return eventually([&] { return rig.completed(queue, slot); });
	}

	FaultRig rig;
};

/* All ways in which a fault can end. */
class PageFaultsEnd : public PageFaults
{
protected:
	void SetUp() override
	{
		PageFaults::SetUp();
		rig.enablePageRequests();
	}
	/* Send a request and let it wait for a page. @return its page requests. */
	std::vector<Fault> park(unsigned queue = kQueue)
	{
		slot = rig.submit(queue, Rig::flat(2, kIn, 64, kOut, 256));
		return rig.awaitGroup();
	}
	unsigned status(unsigned queue = kQueue) { return rig.getSqe(queue, slot)[3] & 0xff; }
	/* Expect that the queue works with memory that is mapped. */
	void expectWorks()
	{
		rig.mapNew(kPasid, kIn);
		rig.mapNew(kPasid, kOut);
		rig.command(5 | 1 << 4, 0);
		const Sqe done = rig.run(kQueue, Rig::flat(2, kIn, 64, kOut, 256));
		EXPECT_EQ(done[3] & 0xff, 0u);
	}

	unsigned slot = 0;
};

} // namespace

/* A page of input and a page of output are missing: two groups, and then the right result. */
TEST_F(PageFaults, MissingPagesAreAskedForAndTheRequestRuns)
{
	const auto data = textLike(4096);

	rig.enablePageRequests();
	const unsigned slot = rig.submit(kQueue, Rig::flat(2, kIn, 4096, kOut, 4096));
	const auto input = rig.awaitGroup();

	ASSERT_EQ(input.size(), 1u);
	EXPECT_EQ(input[0].rid, Rig::kRid);
	EXPECT_TRUE(input[0].hasPasid);
	EXPECT_EQ(input[0].pasid, kPasid);
	EXPECT_EQ(input[0].address, kIn);
	EXPECT_TRUE(input[0].read);
	EXPECT_FALSE(input[0].write);
	EXPECT_FALSE(rig.completed(kQueue, slot));
	rig.mapNew(kPasid, kIn, false);
	rig.write(kPasid, kIn, data);
	rig.respond(input[0], FaultRig::kSuccess);
	const auto output = rig.awaitGroup();

	ASSERT_EQ(output.size(), 1u);
	EXPECT_EQ(output[0].address, kOut);
	EXPECT_TRUE(output[0].write);
	rig.serve(output);
	ASSERT_TRUE(done(kQueue, slot));
	const Sqe result = rig.getSqe(kQueue, slot);

	EXPECT_EQ(result[3] & 0xff, 0u);
	const auto back =
		zlibInflate(withHeader(formats()[1], rig.read(kPasid, kOut, result[1])), 15);

	ASSERT_TRUE(back);
	EXPECT_EQ(*back, data);
	EXPECT_EQ(rig.iommu->barRead(0, 0x34, 4), 0u) << "nothing is recorded as a fault";
}

TEST_F(PageFaultsEnd, OtherQueuesRunMeanwhile)
{
	const auto fault = park();

	for (uint64_t address : {kIn, kOut})
		rig.mapNew(kPasid + 1, address);
	for (unsigned i = 0; i < 50; i++)
		EXPECT_EQ(rig.run(1, Rig::flat(2, kIn, 64, kOut, 256))[3] & 0xff, 0u);
	EXPECT_FALSE(rig.completed(kQueue, slot));
	EXPECT_EQ(rig.zip.ats().counters().groups, 1u) << "it asks once";
	rig.serve(fault);
	rig.serve(rig.awaitGroup());
	ASSERT_TRUE(done(kQueue, slot));
	EXPECT_EQ(status(), 0u);
}

/* Two requests of one queue: the second comes after the first, even if only its pages are there. */
TEST_F(PageFaultsEnd, OrderOfAQueueIsKept)
{
	const auto fault = park();
	const unsigned second = rig.submit(kQueue, Rig::flat(2, kIn, 64, kOut, 256));

	settle();
	EXPECT_FALSE(rig.completed(kQueue, second));
	rig.serve(fault);
	rig.serve(rig.awaitGroup());
	ASSERT_TRUE(done(kQueue, second));
	EXPECT_EQ(rig.completion(kQueue, 0).slot, slot);
	EXPECT_EQ(rig.completion(kQueue, 1).slot, second);
}

TEST_F(PageFaultsEnd, InvalidEndsTheRequestOnly)
{
	rig.respond(park().back(), FaultRig::kInvalid);
	ASSERT_TRUE(done(kQueue, slot));
	EXPECT_EQ(status(), kBusError);
	rig.ring(Bell::Window, kQueue, 1, 1);
	expectWorks();
}

TEST_F(PageFaultsEnd, FailureEndsEverybodysRequests)
{
	const auto first = park();
	const unsigned slot0 = slot;

	park(1);
	rig.respond(first.back(), FaultRig::kFailure);
	ASSERT_TRUE(done(kQueue, slot0));
	ASSERT_TRUE(done(1, slot));
	EXPECT_EQ(rig.getSqe(kQueue, slot0)[3] & 0xff, kBusError);
	EXPECT_EQ(status(1), kBusError);
	const unsigned pri = rig.extended(FaultRig::kPri);
	EXPECT_EQ(rig.zip.configRead(pri + 4, 2) & 1, 0u) << "PRI is off";
	EXPECT_EQ(rig.zip.configRead(pri + 6, 2) & 1, 1u) << "response failure";
	rig.zip.configWrite(pri + 6, 1, 2);
	EXPECT_EQ(rig.zip.configRead(pri + 6, 2) & 1, 0u);
	rig.enablePageRequests();
	EXPECT_EQ(rig.zip.configRead(pri + 4, 2) & 1, 1u);
	rig.ring(Bell::Window, kQueue, 1, 1);
	slot = rig.submit(kQueue, Rig::flat(2, kIn, 64, kOut, 256));
	rig.respond(rig.awaitGroup().back(), FaultRig::kInvalid);
	ASSERT_TRUE(done(kQueue, slot));
}

/*
 * Software answers "success" and maps nothing: the device asks again, each time. Other queues work
 * on.
 */
TEST_F(PageFaultsEnd, LyingSoftwareIsAskedAgain)
{
	auto fault = park();
	const unsigned parked = slot;

	rig.mapNew(kPasid + 1, kIn);
	rig.mapNew(kPasid + 1, kOut);
	for (unsigned i = 0; i < 20; i++) {
		rig.respond(fault.back(), FaultRig::kSuccess);
		fault = rig.awaitGroup();
		ASSERT_EQ(fault.size(), 1u);
		EXPECT_EQ(fault[0].address, kIn & ~0xfffull);
		EXPECT_EQ(rig.run(1, Rig::flat(2, kIn, 64, kOut, 256))[3] & 0xff, 0u);
		EXPECT_FALSE(rig.completed(kQueue, parked));
	}
	rig.respond(fault.back(), FaultRig::kInvalid);
	ASSERT_TRUE(done(kQueue, slot));
	EXPECT_EQ(status(), kBusError);
}

/* Attack: change the descriptor while its request waits. The device uses what it read first. */
TEST_F(PageFaultsEnd, DescriptorIsReadOnce)
{
	const auto fault = park();
	Sqe other = Rig::flat(2, 0xdead000, 64, 0xbeef000, 256);

	rig.putSqe(kQueue, slot, other);
	rig.serve(fault);
	const auto next = rig.awaitGroup();
	EXPECT_EQ(next[0].address, kOut);
	rig.serve(next);
	ASSERT_TRUE(done(kQueue, slot));
	EXPECT_EQ(status(), 0u);
}

/* No answer comes: STOP_QP abandons the request after its drain time, and the mailbox is free. */
TEST_F(PageFaultsEnd, StopDoesNotWaitForAnAnswer)
{
	const auto fault = park();

	EXPECT_EQ(rig.mailbox(8, kQueue, 0), 0u);
	ASSERT_TRUE(rig.completed(kQueue, slot));
	EXPECT_EQ(status(), kStopped);
	/* The answer comes after the queue was started anew, while another request waits. */
	rig.startQueue(kQueue, 0, kPasid);
	const auto second = park();
	rig.mapNew(kPasid, kIn);
	rig.respond(fault.back(), FaultRig::kInvalid);
	settle();
	EXPECT_FALSE(rig.completed(kQueue, slot)) << "not its answer";
	rig.respond(second.back(), FaultRig::kSuccess);
	rig.serve(rig.awaitGroup());
	ASSERT_TRUE(done(kQueue, slot));
	EXPECT_EQ(status(), 0u);
}

/*
 * Documentation/design/machine/zip.rst, "Stopping and resetting": a request has 100 ms. The device
 * must not abandon it earlier. It may be late on a loaded machine, so the best of several attempts
 * counts.
 */
TEST_F(PageFaultsEnd, StopGivesRequestsATenthOfASecond)
{
	using std::chrono::milliseconds;
	std::chrono::nanoseconds shortest = std::chrono::hours(1);

	for (int i = 0; i < 40 && shortest > milliseconds(150); i++) {
		const auto fault = park();
		const auto begin = std::chrono::steady_clock::now();

		EXPECT_EQ(rig.mailbox(8, kQueue, 0), 0u);
		shortest = std::min<std::chrono::nanoseconds>(
			shortest, std::chrono::steady_clock::now() - begin);
		EXPECT_EQ(status(), kStopped);
		rig.respond(fault.back(), FaultRig::kInvalid);
		rig.startQueue(kQueue, 0, kPasid);
	}
	EXPECT_GE(shortest, milliseconds(100));
	EXPECT_LE(shortest, milliseconds(150));
}

TEST_F(PageFaultsEnd, StopWaitsForAnAnswerThatComes)
{
	const auto fault = park();

	rig.mapNew(kPasid, kIn);
	rig.mapNew(kPasid, kOut);
	rig.post(8, kQueue, 0);
	rig.respond(fault.back(), FaultRig::kSuccess);
	EXPECT_TRUE(eventually([&] { return !(rig.reg(0x300) & 0x2000); }));
	ASSERT_TRUE(rig.completed(kQueue, slot));
	EXPECT_TRUE(status() == 0 || status() == kStopped);
}

TEST_F(PageFaultsEnd, NewContextsDropTheRequest)
{
	const auto fault = park();

	rig.startQueue(kQueue, 0, kPasid);
	EXPECT_FALSE(rig.completed(kQueue, slot));
	rig.respond(fault.back(), FaultRig::kInvalid);
	expectWorks();
}

TEST_F(PageFaultsEnd, FunctionLevelReset)
{
	const auto fault = park();
	unsigned express = rig.capability(pci::kCapExpress);

	rig.zip.configWrite(express + 8, 0x8000, 2);
	EXPECT_EQ(rig.zip.ats().counters().failed, 1u);
	const unsigned pri = rig.extended(FaultRig::kPri), ats = rig.extended(FaultRig::kAts);
	EXPECT_EQ(rig.zip.configRead(pri + 4, 2), 0u);
	EXPECT_EQ(rig.zip.configRead(pri + 6, 2), 0x8100u) << "stopped, responses with PASID";
	EXPECT_EQ(rig.zip.configRead(ats + 6, 2), 0u);
	rig.respond(fault.back(), FaultRig::kInvalid);
	EXPECT_EQ(rig.zip.ats().counters().unexpected, 1u);
	rig.start();
	rig.startQueue(kQueue, 0, kPasid);
	rig.enablePageRequests();
	rig.serve(park());
	rig.serve(rig.awaitGroup());
	ASSERT_TRUE(done(kQueue, slot));
	EXPECT_EQ(status(), 0u);
}

/* Without bus mastering requests wait. When it comes back, the device asks for the page again. */
TEST_F(PageFaultsEnd, BusMasterOffAndOn)
{
	const auto fault = park();

	rig.zip.configWrite(4, 0x2, 2);
	EXPECT_EQ(rig.zip.ats().counters().failed, 1u);
	settle();
	EXPECT_FALSE(rig.completed(kQueue, slot));
	rig.respond(fault.back(), FaultRig::kInvalid);
	rig.zip.configWrite(4, 0x6, 2);
	rig.serve(rig.awaitGroup());
	rig.serve(rig.awaitGroup());
	ASSERT_TRUE(done(kQueue, slot));
	EXPECT_EQ(status(), 0u);
}

TEST_F(PageFaultsEnd, PageRequestsOffIsABusError)
{
	park();
	rig.disablePageRequests();
	ASSERT_TRUE(done(kQueue, slot));
	EXPECT_EQ(status(), kBusError);
	/* Without ATS the request gets an ordinary fault, which is recorded. */
	rig.enableAts(false);
	rig.ring(Bell::Window, kQueue, 1, 1);
	EXPECT_EQ(rig.run(kQueue, Rig::flat(2, kIn, 64, kOut, 256))[3] & 0xff, kBusError);
	EXPECT_NE(rig.iommu->barRead(0, 0x34, 4) & 2, 0u);
}

/* "Stopped" means: the device asks for nothing, and all requests have answers or were reset. */
TEST_F(PageFaultsEnd, StoppedSaysThatAllIsAnswered)
{
	constexpr uint16_t kEnable = 1, kReset = 2, kStopped = 0x100;
	const unsigned pri = rig.extended(FaultRig::kPri);
	const auto stopped = [&] { return (rig.zip.configRead(pri + 6, 2) & kStopped) != 0; };
	const auto fault = park();

	rig.zip.configWrite(pri + 4, kEnable | kReset, 2);
	EXPECT_EQ(rig.zip.ats().counters().failed, 0u) << "no reset while it is enabled";
	rig.disablePageRequests();
	EXPECT_FALSE(stopped());
	rig.respond(fault.back(), FaultRig::kInvalid);
	EXPECT_TRUE(stopped());
	ASSERT_TRUE(done(kQueue, slot));

	rig.enablePageRequests();
	const auto second = park();

	rig.disablePageRequests();
	EXPECT_FALSE(stopped());
	rig.zip.configWrite(pri + 4, kReset, 2);
	EXPECT_TRUE(stopped());
	rig.respond(second.back(), FaultRig::kInvalid);
	EXPECT_EQ(rig.zip.ats().counters().unexpected, 1u);
}

/** Software that unmaps pages as fast as it can, and maps requested pages again. */
class Thief
{
public:
	Thief(FaultRig &rig, const std::vector<uint64_t> &pages) : rig_(rig), pages_(pages)
	{
		for (uint64_t page : pages)
			backing_[page] = rig.mapNew(kPasid, page);
		thread_ = std::thread([this] { run(); });
	}
	~Thief() { stop(); }
	/** Stop, and map all pages. */
	void stop()
	{
		if (!thread_.joinable())
			return;
		stop_ = true;
		thread_.join();
		for (const auto &[page, pa] : backing_)
			rig_.map(kPasid, page, pa);
	}

	uint64_t physical(uint64_t page) const { return backing_.at(page); }
	/** For the next request: allow fewer times than the accelerator tries again (16 times). */
	void mayTake() { allowance_ = 8; }

private:
	bool takesOne()
	{
		int left = allowance_;

		while (left > 0)
			if (allowance_.compare_exchange_weak(left, left - 1))
				return true;
		return false;
	}
	void run()
	{
		for (unsigned i = 0; !stop_; i++) {
			for (const Fault &fault : rig_.takeFaults()) {
				rig_.map(fault.pasid, fault.address, backing_.at(fault.address));
				if (fault.last)
					rig_.respond(fault, FaultRig::kSuccess);
			}
			if (i % 8 == 0 && takesOne())
				rig_.unmap(kPasid, pages_[i / 8 % pages_.size()]);
			std::this_thread::yield();
		}
	}

	FaultRig &rig_;
	const std::vector<uint64_t> pages_;
	std::map<uint64_t, uint64_t> backing_;
	std::atomic<bool> stop_{false};
	std::atomic<int> allowance_{0};
	std::thread thread_;
};

/* Each request ends, with success or an error. */
TEST_F(PageFaultsEnd, PagesThatComeAndGo)
{
	std::vector<uint64_t> pages;

	for (uint64_t page = 0; page < 4; page++) {
		pages.push_back(kIn + page * 4096);
		pages.push_back(kOut + page * 4096);
	}
	Thief thief(rig, pages);
	unsigned good = 0;

	/* Go on at least until a request has met a missing page. */
	for (unsigned i = 0; i < 100 || (i < 1000000 && !rig.zip.ats().counters().groups); i++) {
		thief.mayTake();
		const Sqe result = rig.run(kQueue, Rig::flat(2, kIn + 5, 16000, kOut + 7, 16000));

		EXPECT_TRUE((result[3] & 0xff) == 0 || (result[3] & 0xff) == kBusError);
		good += (result[3] & 0xff) == 0;
	}
	thief.stop();
	EXPECT_GT(good, 0u);
	EXPECT_GT(rig.zip.ats().counters().groups, 0u);
	EXPECT_EQ(rig.zip.ats().counters().failed, 0u);
}

/* A part of a stream that the engine starts again must not be counted twice. */
TEST_F(PageFaultsEnd, StreamsSurviveVanishingPages)
{
	constexpr uint32_t kRoom = 3 * 4096;
	const auto data = textLike(200000);
	const auto stream = zlibDeflate(data, -15);

	rig.startQueue(2, 1, kPasid);
	for (uint64_t at = 0; at < stream.size() + 4096; at += 4096)
		rig.mapNew(kPasid, kIn + at);
	rig.write(kPasid, kIn, stream);
	Thief thief(rig, {kOut, kOut + 4096, kOut + 8192});

	/* Often enough that a page vanishes just between computing and writing. */
	for (unsigned round = 0; round < 30; round++) {
		std::vector<std::byte> out;
		size_t used = 0;

		for (unsigned part = 0; out.size() < data.size() && part < 100; part++) {
			const uint32_t length = std::min<size_t>(stream.size() - used, 9000);
			Sqe sqe = Rig::flat(1, kIn + used, length, kOut, kRoom);

			sqe[7] |= 1u << 26 | (part ? 0 : 1u << 27);
			thief.mayTake();
			const Sqe result = rig.run(2, sqe);
			ASSERT_TRUE((result[3] & 0xff) == 0 || (result[3] & 0xff) == 0x13)
				<< result[3];
			/* No content is lost, because the thief maps the same page again. */
			for (uint32_t done = 0; done < result[1]; done += 4096) {
				std::vector<std::byte> page(std::min(result[1] - done, 4096u));
				ASSERT_TRUE(rig.memory.read(thief.physical(kOut + done),
							    page.data(), page.size()));
				out.insert(out.end(), page.begin(), page.end());
			}
			used += result[0];
		}
		ASSERT_EQ(out, data);
	}
	thief.stop();
	EXPECT_GT(rig.zip.ats().counters().groups, 0u);
}

/* Lists: the engine asks for their headers, their entries and their buffers in turn. */
TEST_F(PageFaultsEnd, ScatterGatherLists)
{
	constexpr uint64_t kFrom = 0x7f2000000fc0, kTo = 0x7f3000000fc0; /* entries: next page */
	const auto data = textLike(6000);
	std::map<uint64_t, uint64_t> backing;
	const auto list = [&](uint64_t address, uint64_t buffer) {
		std::vector<std::byte> bytes(64 + 2 * 32);
		const auto set = [&](size_t at, auto value) {
			std::memcpy(&bytes[at], &value, sizeof(value));
		};
		set(10, uint16_t{2});
		set(64, buffer);
		set(64 + 16, uint32_t{4096});
		set(96, buffer + 0x10000);
		set(96 + 16, uint32_t{4096});
		rig.write(kPasid, address, bytes);
	};

	for (uint64_t address :
	     {kFrom, kFrom + 64, kTo, kTo + 64, kIn, kIn + 0x10000, kOut, kOut + 0x10000})
		backing[address & ~0xfffull] = rig.mapNew(kPasid, address);
	list(kFrom, kIn);
	list(kTo, kOut);
	rig.write(kPasid, kIn, {data.begin(), data.begin() + 4096});
	rig.write(kPasid, kIn + 0x10000, {data.begin() + 4096, data.end()});
	for (const auto &[address, pa] : backing)
		rig.unmap(kPasid, address);
	Sqe sqe = Rig::flat(2, kFrom, 6000, kTo, 8192);

	sqe[9] |= 1 << 8;
	slot = rig.submit(kQueue, sqe);
	std::vector<uint64_t> asked;
	EXPECT_TRUE(eventually([&] {
		for (const Fault &fault : rig.takeFaults()) {
			asked.push_back(fault.address);
			rig.map(kPasid, fault.address, backing.at(fault.address));
			if (fault.last)
				rig.respond(fault, FaultRig::kSuccess);
		}
		return rig.completed(kQueue, slot);
	}));
	EXPECT_EQ(status(), 0u);
	const std::vector<uint64_t> expected = {
		0x7f2000000000, 0x7f2000001000, 0x7f3000000000, 0x7f3000001000, kIn,
		kIn + 0x10000,	kOut,		kOut + 0x10000};
	EXPECT_EQ(asked, expected);
	const auto back = zlibInflate(
		withHeader(formats()[1], rig.read(kPasid, kOut, rig.getSqe(kQueue, slot)[1])), 15);
	ASSERT_TRUE(back);
	EXPECT_EQ(*back, data);
}

} // namespace wd::machine::test
