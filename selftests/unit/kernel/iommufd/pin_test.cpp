// SPDX-License-Identifier: Apache-2.0
/* Which memory is pinned, who is charged, and that the pinned memory stays the same. */
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <random>
#include <set>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../common/stuck_memory.h"
#include "../slow_call.h"
#include "fixture.h"

namespace kernel_iommufd
{

using wd::hostkernel::physicalMemory;
using wd::test::KilledCall;
using wd::test::StuckMemory;

class PinTest : public KernelTest
{
protected:
	Buffer memory_{16 * kPage};
};

/* IOMMUFD-PIN-1 */
TEST_F(PinTest, PerUserLimit)
{
	auto caller = limited(1000, 4), sibling = limited(1000, 4), stranger = limited(1001, 4);
	Iommufd iommufd(caller), second(sibling), third(stranger);
	MockDevice device(0, caller), other(1, sibling), far(2, stranger);
	ASSERT_EQ(0, device.bind(iommufd));
	ASSERT_EQ(0, other.bind(second));
	ASSERT_EQ(0, far.bind(third));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	const auto ioas2 = static_cast<uint32_t>(second.allocIoas());
	const auto ioas3 = static_cast<uint32_t>(third.allocIoas());
	/* Memory is charged when it is pinned, not before. */
	EXPECT_EQ(0, iommufd.mapFixed(ioas, memory_.address(), 8 * kPage, 0));
	uint32_t pt = ioas;
	EXPECT_EQ(-ENOMEM, device.attach(pt));
	EXPECT_EQ(0u, caller->pinnedPages() + caller->lockedPages());
	EXPECT_EQ(0, iommufd.unmap(ioas, 0, kMax));
	EXPECT_EQ(0, device.attachTo(ioas));
	EXPECT_EQ(0, other.attachTo(ioas2));
	EXPECT_EQ(0, far.attachTo(ioas3));
	EXPECT_EQ(0, iommufd.mapFixed(ioas, memory_.address(), 3 * kPage, 0));
	EXPECT_EQ(3u, caller->pinnedPages());
	EXPECT_EQ(3u, caller->lockedPages());
	EXPECT_EQ(-ENOMEM, iommufd.mapFixed(ioas, memory_.address(), 2 * kPage, 0x10000));
	EXPECT_EQ(3u, caller->lockedPages());
	/* The same user in another process shares the limit, another user does not. */
	EXPECT_EQ(-ENOMEM, second.mapFixed(ioas2, memory_.address(), 2 * kPage, 0));
	EXPECT_EQ(0, second.mapFixed(ioas2, memory_.address(), kPage, 0));
	EXPECT_EQ(0, third.mapFixed(ioas3, memory_.address(), 4 * kPage, 0));
	EXPECT_EQ(-ENOMEM, iommufd.mapFixed(ioas, memory_.address(), kPage, 0x10000));
	/* A copy is not charged again, a second map of the same memory is. */
	uint64_t iova = 0;
	EXPECT_EQ(0, iommufd.copy(ioas, ioas, 3 * kPage, 0, kRead, iova));
	EXPECT_EQ(3u, caller->pinnedPages());
	EXPECT_EQ(0, iommufd.unmap(ioas, 0, kMax));
	EXPECT_EQ(0u, caller->pinnedPages());
	EXPECT_EQ(1u, caller->lockedPages());
	EXPECT_EQ(0, second.unmap(ioas2, 0, kMax));
	EXPECT_EQ(0u, caller->lockedPages());
	EXPECT_EQ(0, third.unmap(ioas3, 0, kMax));
}

/**
 * Mappings of one user in several IOAS, and what the user has locked because of them: for each MAP
 * the pages that an area in an IOAS with a page table needs (IOMMUFD-PIN-5).
 */
class LockedModel
{
public:
	static constexpr unsigned kSpaces = 3, kPages = 12;

	void add(unsigned space, uint64_t iova, unsigned map, uint64_t first, uint64_t count)
	{
		areas_.push_back({space, map, iova, first, count});
	}
	unsigned locked() const
	{
		std::set<std::pair<unsigned, uint64_t>> pages;

		for (const Area &area : areas_)
			for (uint64_t i = 0; hasTable_[area.space] && i < area.count; i++)
				pages.insert({area.map, area.first + i});
		return static_cast<unsigned>(pages.size());
	}

	struct Area {
		unsigned space, map;
		uint64_t iova, first, count;
	};
	std::vector<Area> areas_;
	std::array<bool, kSpaces> hasTable_{};
};

/* IOMMUFD-PIN-5 */
TEST_F(PinTest, TheFormulaHoldsAtEachMoment)
{
	auto caller = limited(1000, 1000);
	Iommufd iommufd(caller);
	std::array<uint32_t, LockedModel::kSpaces> ioas{};
	std::vector<std::unique_ptr<MockDevice>> devices;
	std::mt19937 random(11);
	LockedModel model;

	for (unsigned i = 0; i < ioas.size(); i++) {
		ioas[i] = static_cast<uint32_t>(iommufd.allocIoas());
		devices.push_back(std::make_unique<MockDevice>(i, caller));
		ASSERT_EQ(0, devices[i]->bind(iommufd));
	}
	for (unsigned step = 0; step < 1500; step++) {
		const unsigned space = random() % LockedModel::kSpaces;
		const size_t chosen = model.areas_.empty() ? 0 : random() % model.areas_.size();
		const unsigned what = model.areas_.size() > 20 ? 2 : random() % 4;
		uint64_t iova = 0;

		if (what == 0) {
			/* Pages of other mappings, too: each MAP counts for itself. */
			const uint64_t first = random() % LockedModel::kPages;
			const uint64_t count = 1 + random() % (LockedModel::kPages - first);

			ASSERT_EQ(0, iommufd.map(ioas[space], memory_.address() + first * kPage,
						 count * kPage, kReadWrite, iova));
			model.add(space, iova, step, 0, count);
		} else if (what == 1 && !model.areas_.empty()) {
			const LockedModel::Area from = model.areas_[chosen];
			const uint64_t skip = random() % from.count;
			const uint64_t count = 1 + random() % (from.count - skip);

			ASSERT_EQ(0, iommufd.copy(ioas[space], ioas[from.space], count * kPage,
						  from.iova + skip * kPage, kReadWrite, iova));
			model.add(space, iova, from.map, from.first + skip, count);
		} else if (what == 2 && !model.areas_.empty()) {
			const LockedModel::Area area = model.areas_[chosen];

			ASSERT_EQ(0,
				  iommufd.unmap(ioas[area.space], area.iova, area.count * kPage));
			model.areas_.erase(model.areas_.begin() + static_cast<long>(chosen));
		} else if (model.hasTable_[space]) {
			ASSERT_EQ(0, devices[space]->detach());
			model.hasTable_[space] = false;
		} else {
			ASSERT_EQ(0, devices[space]->attachTo(ioas[space]));
			model.hasTable_[space] = true;
		}
		ASSERT_EQ(model.locked(), caller->lockedPages()) << step;
		ASSERT_EQ(model.locked(), caller->pinnedPages()) << step;
	}
}

/* IOMMUFD-PIN-1 */
TEST_F(PinTest, PerProcessLimit)
{
	auto caller = limited(1000, 4), sibling = limited(1000, 4);
	caller->setCapability(Capability::SysResource, true);
	sibling->setCapability(Capability::SysResource, true);
	Iommufd iommufd(caller), second(sibling);
	uint64_t on = 1;
	ASSERT_EQ(0, iommufd.option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, on));
	ASSERT_EQ(0, second.option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, on));
	MockDevice device(0, caller), other(1, sibling);
	ASSERT_EQ(0, device.bind(iommufd));
	ASSERT_EQ(0, other.bind(second));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	const auto ioas2 = static_cast<uint32_t>(second.allocIoas());
	ASSERT_EQ(0, device.attachTo(ioas));
	ASSERT_EQ(0, other.attachTo(ioas2));
	EXPECT_EQ(0, iommufd.mapFixed(ioas, memory_.address(), 4 * kPage, 0));
	EXPECT_EQ(-ENOMEM, iommufd.mapFixed(ioas, memory_.address(), kPage, 0x10000));
	/* The process counts, not the user. */
	EXPECT_EQ(0, second.mapFixed(ioas2, memory_.address(), 4 * kPage, 0));
	EXPECT_EQ(0, second.unmap(ioas2, 0, kMax));
	EXPECT_EQ(4u, caller->pinnedPages());
	EXPECT_EQ(0u, sibling->pinnedPages());
	EXPECT_EQ(0, iommufd.unmap(ioas, 0, kMax));
	EXPECT_EQ(0, iommufd.mapFixed(ioas, memory_.address(), 4 * kPage, 0));
}

/* IOMMUFD-PIN-1 */
TEST_F(PinTest, CapabilityAtMapTimeCounts)
{
	auto caller = limited(1000, 1);
	Iommufd iommufd(caller);
	MockDevice device(0, caller);
	ASSERT_EQ(0, device.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	caller->setCapability(Capability::IpcLock, true);
	EXPECT_EQ(0, iommufd.mapFixed(ioas, memory_.address(), 8 * kPage, 0));
	caller->setCapability(Capability::IpcLock, false);
	EXPECT_EQ(0, device.attachTo(ioas));
	EXPECT_EQ(8u, caller->pinnedPages());
	EXPECT_EQ(0u, caller->lockedPages());
}

/** The limit at the moment of pinning counts. */
TEST_F(PinTest, LimitThatChanges)
{
	auto caller = limited(1000, 8);
	Iommufd iommufd(caller);
	MockDevice device(0, caller);
	ASSERT_EQ(0, device.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	ASSERT_EQ(0, iommufd.mapFixed(ioas, memory_.address(), 8 * kPage, 0));
	caller->setMemlockLimit(7 * kPage);
	uint32_t pt = ioas;
	EXPECT_EQ(-ENOMEM, device.attach(pt));
	EXPECT_EQ(0u, caller->pinnedPages() + caller->lockedPages());
	caller->setMemlockLimit(9 * kPage);
	EXPECT_EQ(0, device.attach(pt));
	EXPECT_EQ(8u, caller->lockedPages());
	/* If the limit is lowered, pinned memory stays and still counts. */
	caller->setMemlockLimit(4 * kPage);
	EXPECT_EQ(-ENOMEM, iommufd.mapFixed(ioas, memory_.address(), kPage, 0x10000));
	EXPECT_EQ(8u, caller->lockedPages());
}

/** Number of pages that are in memory. */
unsigned resident(void *memory, size_t size)
{
	std::vector<unsigned char> there(size / kPage);
	EXPECT_EQ(0, mincore(memory, size, there.data()));
	unsigned count = 0;
	for (const unsigned char page : there)
		count += page & 1;
	return count;
}

/**
 * IOMMUFD-PIN-3: memory above the limit is never pinned, not even for a moment.
 */
TEST_F(PinTest, LimitIsMetBeforePinning)
{
	constexpr uint64_t kPages = 16384;
	Buffer large(kPages * kPage, kPages * kPage);
	ASSERT_EQ(0, madvise(large.data(), large.size(), MADV_NOHUGEPAGE));
	for (const bool perProcess : {false, true}) {
		auto caller = limited(1000, 2048);
		caller->setCapability(Capability::SysResource, true);
		Iommufd iommufd(caller);
		uint64_t on = perProcess;
		ASSERT_EQ(0, iommufd.option(IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, on));
		MockDevice device(0, caller);
		ASSERT_EQ(0, device.bind(iommufd));
		const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
		ASSERT_EQ(0, device.attachTo(ioas));
		EXPECT_EQ(-ENOMEM, iommufd.mapFixed(ioas, large.address(), large.size(), 0));
		EXPECT_LE(resident(large.data(), large.size()), 2048u);
		EXPECT_EQ(0u, caller->pinnedPages() + caller->lockedPages());
		EXPECT_EQ(0, iommufd.mapFixed(ioas, large.address(), 2048 * kPage, 0));
		EXPECT_EQ(2048u, caller->lockedPages());
	}
}

/**
 * IOMMUFD-PIN-3: a process that is being killed stops pinning, and its other calls work as always.
 */
TEST_F(PinTest, FatalSignal)
{
	auto caller = limited(1000, 1000);
	Iommufd iommufd(caller);
	MockDevice device(0, caller), other(1, caller);
	ASSERT_EQ(0, device.bind(iommufd));
	ASSERT_EQ(0, other.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	const auto record = static_cast<uint32_t>(iommufd.allocIoas());
	ASSERT_EQ(0, device.attachTo(ioas));
	ASSERT_EQ(0, iommufd.mapFixed(ioas, memory_.address(), 4 * kPage, 0));
	ASSERT_EQ(0, iommufd.mapFixed(record, memory_.address(), 4 * kPage, 0));
	caller->kill();
	EXPECT_EQ(-EINTR, iommufd.mapFixed(ioas, memory_.address(), 4 * kPage, 0x10000));
	EXPECT_EQ(-EINTR, iommufd.allow(ioas, {{0, 0xffff}}));
	uint32_t pt = record, hwpt = 0;
	EXPECT_EQ(-EINTR, other.attach(pt));
	EXPECT_EQ(-EINTR, iommufd.hwpt(other.id(), record, 0, hwpt));
	EXPECT_EQ(4u, caller->pinnedPages());
	EXPECT_EQ(0, iommufd.unmap(ioas, 0, 4 * kPage));
	EXPECT_EQ(0u, caller->pinnedPages() + caller->lockedPages());
}

/**
 * IOMMUFD-PIN-3: a call pins much memory of a process, and waits for its first page, which does not
 * come. Then the process is killed. The call finishes the current batch and pins no further page.
 */
TEST_F(PinTest, FatalSignalMeanwhile)
{
	constexpr size_t kBatch = kPage / sizeof(void *), kPages = 8 * kBatch;

	for (const char *call : {"map", "attach", "hwpt", "copy"}) {
		const std::string name = call;
		StuckMemory stuck(kPages);
		auto victim = limited(1000, 2 * kPages);
		Iommufd iommufd(victim);
		MockDevice device(0, victim), other(1, victim);

		ASSERT_EQ(0, madvise(stuck.as<void>(), kPages * kPage, MADV_NOHUGEPAGE));
		ASSERT_EQ(0, device.bind(iommufd));
		ASSERT_EQ(0, other.bind(iommufd));
		const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
		const auto record = static_cast<uint32_t>(iommufd.allocIoas());
		ASSERT_EQ(0, device.attachTo(ioas));
		ASSERT_EQ(0, iommufd.mapFixed(record, stuck.address(), kPages * kPage, 0));
		KilledCall pinner(
			victim,
			[&] {
				uint32_t pt = record, hwpt = 0;
				uint64_t iova = 0;

				if (name == "map")
					return iommufd.mapFixed(ioas, stuck.address(),
								kPages * kPage, 0);
				if (name == "attach")
					return other.attach(pt);
				if (name == "hwpt")
					return iommufd.hwpt(other.id(), record, 0, hwpt);
				return iommufd.copy(ioas, record, kPages * kPage, 0,
						    kReadWrite | kFixed, iova);
			},
			[&] { stuck.waitTouched(); });

		stuck.release();
		EXPECT_TRUE(pinner.ends()) << name;
		EXPECT_EQ(-EINTR, pinner.result()) << name;
		EXPECT_LE(resident(stuck.as<void>(), kPages * kPage), kBatch) << name;
		EXPECT_EQ(0u, victim->pinnedPages()) << name;
		EXPECT_EQ(0u, victim->lockedPages()) << name;
		EXPECT_EQ(0, mock_entries(0, 0)) << name;
		EXPECT_EQ(0, iommufd.unmap(record, 0, kMax)) << name;
	}
}

/** A process with memory at known addresses. It waits until it is killed. */
class Child
{
public:
	explicit Child(const Buffer &shared)
	{
		int pipes[2];
		EXPECT_EQ(0, pipe(pipes));
		pid_ = fork();
		if (!pid_) {
			/* The memory is private: from here on the parent has other content. */
			memset(shared.data(), 0x5c, shared.size());
			if (::write(pipes[1], "x", 1) != 1)
				_exit(1);
			pause();
			_exit(0);
		}
		char ready;
		EXPECT_EQ(1, ::read(pipes[0], &ready, 1));
		::close(pipes[0]);
		::close(pipes[1]);
	}
	~Child() { end(); }
	void end()
	{
		if (pid_ > 0) {
			kill(pid_, SIGKILL);
			waitpid(pid_, nullptr, 0);
		}
		pid_ = -1;
	}
	pid_t pid() const { return pid_; }

private:
	pid_t pid_;
};

/* IOMMUFD-PIN-2 */
TEST_F(PinTest, MemoryOfAnotherProcess)
{
	memset(memory_.data(), 0x11, memory_.size());
	Child child(memory_);
	auto remote = Caller::remote(child.pid(), 1000);
	Iommufd iommufd(Caller::self());
	MockDevice device(0);
	ASSERT_EQ(0, device.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	const int theirs = Caller::self()->dupTo(iommufd.fd(), *remote);
	ASSERT_GE(theirs, 0);

	/* The command structure is in the child's memory; write it there. */
	iommu_ioas_map map = {};
	map.size = sizeof(map);
	map.flags = kReadWrite | kFixed;
	map.ioas_id = ioas;
	map.user_va = memory_.address();
	map.length = 2 * kPage;
	map.iova = 0x1000;
	const uint64_t at = memory_.address() + 8 * kPage;
	iovec local = {&map, sizeof(map)}, far = {reinterpret_cast<void *>(at), sizeof(map)};
	ASSERT_EQ(static_cast<ssize_t>(sizeof(map)),
		  process_vm_writev(child.pid(), &local, 1, &far, 1, 0));
	ASSERT_EQ(0, remote->ioctl(theirs, IOMMU_IOAS_MAP, at));
	EXPECT_EQ(0u, remote->pinnedPages());
	/* This process attaches, and the child's memory is pinned. */
	ASSERT_EQ(0, device.attachTo(ioas));
	EXPECT_EQ(2u, remote->pinnedPages());
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
	const Entry entry = entryAt(0, 0x1008);
	ASSERT_TRUE(entry.present);
	uint8_t byte = 0;
	ASSERT_TRUE(physicalMemory().read(entry.phys, &byte, 1));
	EXPECT_EQ(0x5c, byte);
	byte = 0x77;
	ASSERT_TRUE(physicalMemory().write(entry.phys, &byte, 1));
	EXPECT_EQ(0x11, memory_.data()[8]);
	uint8_t seen = 0;
	local = {&seen, 1};
	far = {memory_.data() + 8, 1};
	ASSERT_EQ(1, process_vm_readv(child.pid(), &local, 1, &far, 1, 0));
	EXPECT_EQ(0x77, seen);

	/* The child ends: pinned memory stays mapped, and new pins fail. */
	uint32_t hwpt = 0;
	child.end();
	remote.reset();
	EXPECT_TRUE(entryAt(0, 0x1008).present);
	EXPECT_EQ(0, iommufd.hwpt(device.id(), ioas, 0, hwpt));
	EXPECT_EQ(0, device.detach());
	EXPECT_EQ(0, iommufd.destroy(hwpt));
	uint32_t pt = ioas;
	EXPECT_EQ(-EFAULT, device.attach(pt));
	EXPECT_EQ(0, iommufd.unmap(ioas, 0, kMax));
	EXPECT_EQ(0, device.attach(pt));
}

/* IOMMUFD-MAP-5 */
TEST_F(PinTest, MappingsSurviveMunmapWithoutACrash)
{
	Iommufd iommufd;
	MockDevice device(0);
	ASSERT_EQ(0, device.bind(iommufd));
	const auto ioas = static_cast<uint32_t>(iommufd.allocIoas());
	ASSERT_EQ(0, device.attachTo(ioas));
	auto gone = std::make_unique<Buffer>(4 * kPage);
	memset(gone->data(), 1, gone->size());
	ASSERT_EQ(0, iommufd.mapFixed(ioas, gone->address(), 4 * kPage, 0x1000));
	gone.reset();
	EXPECT_EQ(0, iommufd.unmap(ioas, 0x1000, 4 * kPage));
	EXPECT_EQ(0u, Caller::self()->pinnedPages());
}

} // namespace kernel_iommufd
