// SPDX-License-Identifier: Apache-2.0
/*
 * Which tables of a process the unit reads. The tests look at every word that it reads: it must
 * read neither the process's top-level table, nor a table of the kernel, nor a freed table.
 *
 * Mutants that these tests kill, each tried once: the bond's entry leads to mm->pgd; flushes do not
 * drop entries, or drop them after the flush; fills copy the upper half, or hold no lock between
 * their look at the process's entry and the copy; an empty range is taken literally.
 */
#include "../../../common/asleep.h"
#include "requester.h"
#include "sva_process.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <optional>
#include <sched.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace wd::kerneltest
{
namespace
{

using machine::Access;
using machine::DmaResult;
using machine::PageResponse;
using machine::pasidStream;
using machine::StreamId;

constexpr uint32_t kPasid = 77;
constexpr unsigned kNoFirstStage = 0x71;
constexpr uint64_t kFrame = 0x000ffffffffff000, kPresent = 1;

class SvaTable : public IommuTest
{
protected:
	void SetUp() override
	{
		IommuTest::SetUp();
		unit_->setCacheMode(machine::CacheMode::Maximal);
		setPageTableLevels(levels_);
		process_.emplace();
		const uint64_t top = process_->mm().top(), kernel = process_->mm().kernelTable();

		memory_.trace([=, this](uint64_t pa, uint64_t value) {
			read_++;
			freed_ += value == hostkernel::kFreedTableWord;
			foreign_ += (pa & ~0xfffULL) == top || (pa & ~0xfffULL) == kernel;
		});
	}
	void TearDown() override
	{
		EXPECT_GT(read_, 0u);
		EXPECT_EQ(freed_, 0u) << "words of freed tables";
		EXPECT_EQ(foreign_, 0u) << "words of the process's top table, or of the kernel";
		process_.reset();
		setPageTableLevels(4);
		agent_.reset();
		memory_.trace({});
		IommuTest::TearDown();
	}
	uint64_t address(unsigned page = 0) const
	{
		return pages_.address() + page * UserPages::kPage;
	}
	/** The entry of the unit's top-level table that translates the pages. */
	uint64_t topEntry() const
	{
		const uint64_t top = pasidEntry(kFirstRid, kPasid)[2] & kFrame;

		return physicalWord(top + 8 * (address() >> (12 + 9 * (levels_ - 1)) & 511));
	}

	/**
	 * Expect a fault at kernel address @at. Fault records have only as many bits as the unit.
	 */
	void expectDenied(uint64_t at)
	{
		EXPECT_EQ(read(stream_, at), DmaResult::Blocked);
		EXPECT_EQ(lastFault().reason, kNoFirstStage) << std::hex << at;
	}

	unsigned levels_ = 4;
	std::optional<Process> process_;
	UserPages pages_{2};
	StreamId stream_ = pasidStream(kFirstRid, kPasid);
	std::atomic<uint64_t> read_{0}, freed_{0}, foreign_{0};
};

/* Attack: a program names addresses of the kernel. */
TEST_F(SvaTable, TheKernelHalfIsNotThere)
{
	Bond bond(firstDev_, process_->mm(), kPasid);

	ASSERT_EQ(bond.error(), 0);
	ASSERT_TRUE(process_->mm().fill(address(), true));
	EXPECT_EQ(word(stream_, address()), pages_.word());
	for (uint64_t at :
	     {0xffff800000000000, 0xffff888000000000, 0xffffffffff600000, 0xfffffffffffff000}) {
		expectDenied(at);
		EXPECT_EQ(write(stream_, at, 1), DmaResult::Blocked);
	}
	const uint64_t top = pasidEntry(kFirstRid, kPasid)[2] & kFrame;

	for (unsigned i = 256; i < 512; i++)
		EXPECT_EQ(physicalWord(top + 8 * i), 0u) << i;
}

TEST_F(SvaTable, WhatIsThereBeforeTheBondIsFound)
{
	ASSERT_TRUE(process_->mm().touch(address(), false));
	Bond bond(firstDev_, process_->mm(), kPasid);

	ASSERT_EQ(bond.error(), 0);
	EXPECT_EQ(word(stream_, address()), pages_.word());
}

/* The last page below an entry goes: the unit must not use its table when that is freed. */
TEST_F(SvaTable, ATableIsLeftBeforeItIsFreed)
{
	Bond bond(firstDev_, process_->mm(), kPasid);
	unsigned flushes = 0;

	ASSERT_EQ(bond.error(), 0);
	for (int round = 0; round < 3; round++) {
		expectFault(stream_, address(), kNoFirstStage);
		ASSERT_TRUE(process_->mm().touch(address(), false));
		EXPECT_EQ(topEntry(), 0u) << "nobody has told";
		expectFault(stream_, address(), kNoFirstStage);
		ASSERT_TRUE(process_->mm().fill(address(1), false));
		EXPECT_TRUE(topEntry() & kPresent);
		EXPECT_EQ(word(stream_, address()), pages_.word());
		process_->caller().memoryChanged(pages_.at(), UserPages::kPage);
		EXPECT_TRUE(topEntry() & kPresent) << "the other page is there";
		EXPECT_TRUE(word(stream_, address(1)));
		watchQueue([&](const Descriptor &descriptor) {
			if (descriptor.type() != kPasidIotlb)
				return;
			flushes++;
			EXPECT_EQ(topEntry(), 0u) << "flushed before the entry was dropped";
		});
		process_->caller().memoryChanged(pages_.at(), 2 * UserPages::kPage);
		memory_.unwatch();
		EXPECT_EQ(topEntry(), 0u);
		expectFault(stream_, address(1), kNoFirstStage);
	}
	EXPECT_EQ(flushes, 3u);
}

/* In this case Linux does not know the range, and reports an empty one. */
TEST_F(SvaTable, TwoThreadsUnmapAtOnce)
{
	Bond bond(firstDev_, process_->mm(), kPasid);

	ASSERT_EQ(bond.error(), 0);
	for (unsigned page : {0, 1})
		ASSERT_TRUE(process_->mm().fill(address(page), true));
	for (unsigned page : {0, 1})
		EXPECT_TRUE(word(stream_, address(page)));
	process_->caller().memoryChanged(nullptr, SIZE_MAX);
	EXPECT_EQ(topEntry(), 0u);
	for (unsigned page : {0, 1})
		expectFault(stream_, address(page), kNoFirstStage);
}

class SvaTable5 : public SvaTable
{
protected:
	SvaTable5() { levels_ = 5; }
};

TEST_F(SvaTable5, AreWalkedWhereTheUnitCan)
{
	Bond bond(firstDev_, process_->mm(), kPasid);

	ASSERT_EQ(bond.error(), 0);
	EXPECT_EQ(pasidEntry(kFirstRid, kPasid)[2] & 0xc, 4u) << "FSPM";
	ASSERT_TRUE(process_->mm().fill(address(), true));
	EXPECT_EQ(word(stream_, address()), pages_.word());
	for (uint64_t at : {0xff00000000000000, 0xffff888000000000})
		expectDenied(at);
	process_->caller().memoryChanged(pages_.at(), UserPages::kPage);
	EXPECT_EQ(topEntry(), 0u);
	expectFault(stream_, address(), kNoFirstStage);
}

class SvaTable5On4 : public SvaTable5
{
protected:
	machine::IommuCapabilities capabilities() const override
	{
		auto wanted = machine::IommuCapabilities::defaults();

		wanted.cap &= ~(1ULL << 60);
		return wanted;
	}
};

TEST_F(SvaTable5On4, AreRefusedWhereItCannot)
{
	EXPECT_EQ(Bond(firstDev_, process_->mm(), kPasid).error(), -EOPNOTSUPP);
	EXPECT_EQ(attachments("type=sva"), 0u);
	expectFault(stream_, address(), 0x51);
}

class SvaTableRace : public SvaTable
{
protected:
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }

	/** Again and again: ask for a page, wait for it, read it. Any thread may call it. */
	void use(uint64_t at, unsigned thread)
	{
		const auto agent = unit_->createAgent();
		Requester requester;

		for (uint64_t token = 0; !end_; token++) {
			std::byte bytes[8];

			if (agent->prepare(stream_, at, 8, Access::Read, requester, token) ==
			    DmaResult::Pending) {
				EXPECT_EQ(requester.wait(token), PageResponse::Success);
			}
			done_[thread] += agent->read(stream_, at, bytes) == DmaResult::Ok;
		}
	}
	bool enough() const
	{
		return changes_ >= kRounds && done_[0] >= kRounds && done_[1] >= kRounds;
	}

	static constexpr unsigned kRounds = 300;
	std::atomic<bool> end_{false};
	std::atomic<unsigned> changes_{0}, done_[2] = {0, 0};
};

/** A page that stops its first writer until release(). Only one such object at a time. */
class StoreTrap
{
public:
	explicit StoreTrap(uint64_t page) : page_(reinterpret_cast<void *>(page))
	{
		struct sigaction mine = {};

		current = this;
		mine.sa_sigaction = onFault;
		mine.sa_flags = SA_SIGINFO | SA_NODEFER;
		EXPECT_EQ(sigaction(SIGSEGV, &mine, &previous_), 0);
		EXPECT_EQ(mprotect(page_, kSize, PROT_READ), 0);
	}
	~StoreTrap()
	{
		release();
		sigaction(SIGSEGV, &previous_, nullptr);
		current = nullptr;
	}
	bool caught() const { return caught_; }
	void release()
	{
		mprotect(page_, kSize, PROT_READ | PROT_WRITE);
		released_ = true;
	}

private:
	static constexpr size_t kSize = 4096;

	static void onFault(int signal, siginfo_t *info, void *context)
	{
		StoreTrap &trap = *current;
		const auto at = reinterpret_cast<uintptr_t>(info->si_addr);

		if (at - reinterpret_cast<uintptr_t>(trap.page_) >= kSize) {
			trap.previous_.sa_sigaction(signal, info, context);
			return;
		}
		trap.caught_ = true;
		while (!trap.released_)
			sched_yield();
	}

	static inline StoreTrap *current;
	void *const page_;
	struct sigaction previous_ = {};
	std::atomic<bool> caught_{false}, released_{false};
};

/*
 * The page fault has seen the process's entry and is about to copy it. Then the process unmaps the
 * last page below. It must wait for the copy, else the copy would lead to a freed table.
 */
TEST_F(SvaTableRace, AnEntryThatGoesWhileItIsCopied)
{
	Bond bond(firstDev_, process_->mm(), kPasid, true);
	std::atomic<pid_t> unmapper{0};
	std::atomic<bool> unmapped{false};
	Requester requester;

	ASSERT_EQ(bond.error(), 0);
	StoreTrap trap(pasidEntry(kFirstRid, kPasid)[2] & kFrame);

	EXPECT_EQ(agent_->prepare(stream_, address(), 8, Access::Read, requester, 1),
		  DmaResult::Pending);
	while (!trap.caught())
		std::this_thread::yield();
	std::thread unmap([&] {
		unmapper = gettid();
		process_->caller().memoryChanged(pages_.at(), 2 * UserPages::kPage);
		unmapped = true;
	});
	while (!unmapped && !(unmapper && test::isAsleep(unmapper)))
		std::this_thread::yield();
	trap.release();
	unmap.join();
	EXPECT_EQ(requester.wait(1), PageResponse::Success);
	EXPECT_EQ(topEntry(), 0u);
	EXPECT_EQ(agent_->prepare(stream_, address(), 8, Access::Read, requester, 2),
		  DmaResult::Pending);
	EXPECT_EQ(requester.wait(2), PageResponse::Success);
	EXPECT_EQ(word(stream_, address()), pages_.word());
}

/*
 * Pages come by page faults and go together with their tables while devices walk the tables. The
 * trace of the unit's reads is checked.
 */
TEST_F(SvaTableRace, FaultsAgainstUnmapping)
{
	Bond bond(firstDev_, process_->mm(), kPasid, true);

	ASSERT_EQ(bond.error(), 0);
	std::thread users[] = {std::thread([&] { use(address(0), 0); }),
			       std::thread([&] { use(address(1), 1); })};
	std::thread filler([&] {
		while (!end_)
			process_->mm().fill(address(0), true);
	});

	while (!enough()) {
		process_->caller().memoryChanged(pages_.at(), 2 * UserPages::kPage);
		changes_++;
		if (changes_ % 8 == 0)
			process_->caller().memoryChanged(nullptr, SIZE_MAX);
	}
	end_ = true;
	for (std::thread &user : users)
		user.join();
	filler.join();
	process_->caller().memoryChanged(pages_.at(), 2 * UserPages::kPage);
	EXPECT_EQ(topEntry(), 0u);
}

} // namespace
} // namespace wd::kerneltest
