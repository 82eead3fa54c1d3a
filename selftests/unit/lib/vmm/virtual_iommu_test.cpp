// SPDX-License-Identifier: Apache-2.0
/* PASIDs of a guest, and the attachments of devices that follow from them. */
#include "rig.h"

namespace test
{

using Result = VirtualIommu::Result;

TEST_F(Rig, QueueFollowsItsPasid)
{
	FakeDevice &queue = device(5);

	iommu_.setDirectory(kRid, kDirectoryGpa, 0);
	iommu_.addQueue(kRid, 3, queue);
	EXPECT_TRUE(queue.attached.empty());
	EXPECT_EQ(Result::Done, bind(3, 0x105000));
	ASSERT_EQ(1u, queue.attached.size());
	EXPECT_EQ(0x105000u, tableOf(queue, 103).root);
	EXPECT_TRUE(tableOf(queue, 103).faults);
	EXPECT_EQ(Result::Done, bind(3, 0x106000)) << "another table";
	EXPECT_EQ(0x106000u, tableOf(queue, 103).root);
	EXPECT_EQ(1u, nestedTables()) << "the one before is gone";
	EXPECT_EQ(Result::Done, unbind(3));
	EXPECT_TRUE(queue.attached.empty());
	EXPECT_EQ(0u, nestedTables());
}

TEST_F(Rig, QueueThatComesWhenThePasidIsThere)
{
	FakeDevice &first = device(5);
	FakeDevice &second = device(6);

	setEntry(3, kPresent | kFirstStage, 1, 0x105000);
	iommu_.setDirectory(kRid, kDirectoryGpa, 0);
	EXPECT_EQ(0u, nestedTables()) << "nobody uses it";
	iommu_.addQueue(kRid, 3, first);
	iommu_.addQueue(kRid, 3, second);
	EXPECT_EQ(first.attached.at(103), second.attached.at(103)) << "one table for both";
	EXPECT_THROW(iommu_.addQueue(kRid, 4, second), wd::Error);
	iommu_.removeDevice(first);
	EXPECT_TRUE(first.attached.empty());
	EXPECT_EQ(1u, second.attached.size());
	iommu_.removeDevice(second);
	EXPECT_EQ(0u, nestedTables());
	EXPECT_THROW(iommu_.addQueue(kRid, 1 << 20, first), wd::Error);
}

TEST_F(Rig, PassThroughIsTheParent)
{
	FakeDevice &queue = device(5);

	iommu_.setDirectory(kRid, kDirectoryGpa, 0);
	iommu_.addQueue(kRid, 2, queue);
	setEntry(2, kPresent | kPassThrough, 1);
	EXPECT_EQ(Result::Done, iommu_.execute(pasidCache(1, 2)));
	EXPECT_EQ(iommu_.parent().id(), queue.attached.at(102));
	EXPECT_EQ(Result::Done, bind(2, 0x107000)) << "and now a table of its own";
	EXPECT_NE(iommu_.parent().id(), queue.attached.at(102));
}

TEST_F(Rig, FunctionFollowsEveryPasidAndItsRequesterId)
{
	FakeDevice &function = device(9);

	setEntry(0, kPresent | kPassThrough, 1);
	setEntry(7, kPresent | kFirstStage, 1, 0x105000);
	iommu_.addFunction(kRid, function);
	EXPECT_TRUE(function.attached.empty()) << "it has no directory yet";
	iommu_.setDirectory(kRid, kDirectoryGpa, 0);
	EXPECT_EQ(iommu_.parent().id(), function.attached.at(0));
	EXPECT_EQ(0x105000u, tableOf(function, 107).root);
	EXPECT_EQ(Result::Done, bind(8, 0x106000));
	EXPECT_EQ(3u, function.attached.size());
	setEntry(9, kPresent | kFirstStage, 2, 0x107000);
	EXPECT_EQ(Result::Done, iommu_.execute(pasidCacheAll()));
	EXPECT_EQ(4u, function.attached.size());
	iommu_.clearDirectory(kRid);
	EXPECT_TRUE(function.attached.empty());
	EXPECT_EQ(0u, nestedTables());
	EXPECT_THROW(iommu_.addFunction(kRid, function), wd::Error);
}

/* The same PASID of two functions has two tables. */
TEST_F(Rig, FunctionsHaveDirectoriesOfTheirOwn)
{
	FakeDevice &one = device(5);
	FakeDevice &two = device(6);

	EXPECT_TRUE(memory_.store(kGpa + 0x2000, (kGpa + 0x3000) | kPresent));
	EXPECT_TRUE(memory_.store(kGpa + 0x3000 + 3 * 64 + 16, 0x109000));
	EXPECT_TRUE(memory_.store(kGpa + 0x3000 + 3 * 64, kPresent | kFirstStage));
	setEntry(3, kPresent | kFirstStage, 1, 0x105000);
	iommu_.setDirectory(kRid, kDirectoryGpa, 0);
	iommu_.setDirectory(kRid + 8, kGpa + 0x2000, 0);
	iommu_.addQueue(kRid, 3, one);
	iommu_.addQueue(kRid + 8, 3, two);
	EXPECT_EQ(0x105000u, tableOf(one, 103).root);
	EXPECT_EQ(0x109000u, tableOf(two, 103).root);
}

TEST_F(Rig, FlushesReachTheTablesThatTheyName)
{
	FakeDevice &a = device(5);
	FakeDevice &b = device(6);
	FakeDevice &c = device(7);

	iommu_.setDirectory(kRid, kDirectoryGpa, 0);
	iommu_.addQueue(kRid, 1, a);
	iommu_.addQueue(kRid, 2, b);
	iommu_.addQueue(kRid, 3, c);
	bind(1, 0x105000, 1);
	bind(2, 0x106000, 1);
	bind(3, 0x107000, 2);
	kernel_.flushes.clear();
	EXPECT_EQ(Result::Done, iommu_.execute(flushPages(1, 2, 0x40000, 4)));
	ASSERT_EQ(1u, kernel_.flushes.size());
	EXPECT_EQ(b.attached.at(102), kernel_.flushes[0].first);
	EXPECT_EQ(0x40000u, kernel_.flushes[0].second.addr);
	EXPECT_EQ(16u, kernel_.flushes[0].second.npages);
	kernel_.flushes.clear();
	EXPECT_EQ(Result::Done, iommu_.execute({2 | 2 << 4 | 1ull << 16}));
	EXPECT_EQ(2u, kernel_.flushes.size()) << "both of domain 1";
	EXPECT_EQ(UINT64_MAX, kernel_.flushes[0].second.npages);
	kernel_.flushes.clear();
	iommu_.execute({2 | 1 << 4});
	EXPECT_EQ(3u, kernel_.flushes.size());
	kernel_.flushes.clear();
	EXPECT_EQ(Result::Done, iommu_.execute(flushPages(2, 2, 0x40000, 4)));
	EXPECT_TRUE(kernel_.flushes.empty()) << "there is no such PASID in domain 2";
	/* Device TLBs are flushed together with the table. The VMM handles a wait. */
	EXPECT_EQ(Result::Done, iommu_.execute({8}));
	EXPECT_EQ(Result::NotOurs, iommu_.execute({5}));
	EXPECT_EQ(Result::Invalid, iommu_.execute({0}));
}

TEST_F(Rig, FlushThatTheKernelRefusesForgetsEverything)
{
	FakeDevice &queue = device(5);

	iommu_.setDirectory(kRid, kDirectoryGpa, 0);
	iommu_.addQueue(kRid, 1, queue);
	bind(1, 0x105000);
	kernel_.flushes.clear();
	kernel_.flushErrors = 1;
	EXPECT_EQ(Result::Done, iommu_.execute(flushPages(1, 1, 1ull << 62, 0)));
	ASSERT_EQ(1u, kernel_.flushes.size());
	EXPECT_EQ(UINT64_MAX, kernel_.flushes[0].second.npages);
	/* If the whole flush fails, too, no device may use translations that could be stale. */
	kernel_.flushErrors = 2;
	EXPECT_EQ(Result::Done, iommu_.execute(flushPages(1, 1, 0, 0)));
	EXPECT_TRUE(queue.attached.empty());
}

/* Tables at addresses or with widths that the host cannot have, and garbage, count as absent. */
TEST_F(Rig, EntriesThatCannotBe)
{
	FakeDevice &queue = device(5);

	iommu_.setDirectory(kRid, kDirectoryGpa, 0);
	iommu_.addQueue(kRid, 1, queue);
	bind(1, 0x105000);
	kernel_.worstRoot = 1ull << 48;
	EXPECT_EQ(Result::BadEntry, bind(1, 1ull << 50));
	EXPECT_TRUE(queue.attached.empty()) << "the table before must not stay";
	EXPECT_EQ(Result::Done, bind(1, 0x105000));
	setEntry(1, kPresent | kFirstStage | 1 << 10, 1, 0x105000);
	EXPECT_EQ(Result::BadEntry, iommu_.execute(pasidCache(1, 1)));
	EXPECT_TRUE(queue.attached.empty());
	queue.refuse = true;
	EXPECT_EQ(Result::BadEntry, bind(1, 0x106000));
	queue.refuse = false;
	EXPECT_TRUE(queue.attached.empty());
	kernel_.allocError = -ENOMEM;
	EXPECT_EQ(Result::BadEntry, bind(1, 0x107000));
}

TEST_F(Rig, DirectoriesThatCannotBe)
{
	FakeDevice &function = device(5);

	iommu_.addFunction(kRid, function);
	/* Outside the memory, at its end, and partly outside. */
	for (uint64_t gpa : {uint64_t{0}, kGpa + kGuestSize - 8, ~uint64_t{0xfff}})
		iommu_.setDirectory(kRid, gpa, 7);
	EXPECT_TRUE(function.attached.empty());
	EXPECT_TRUE(memory_.store(kDirectoryGpa, (kGpa + kGuestSize) | kPresent));
	iommu_.setDirectory(kRid, kDirectoryGpa, 0);
	EXPECT_EQ(Result::BadEntry, iommu_.execute(pasidCache(0, 1)));
	EXPECT_TRUE(memory_.store(kDirectoryGpa, kTableGpa | kPresent | 1 << 2));
	setEntry(1, kPresent | kFirstStage, 1, 0x105000);
	EXPECT_EQ(Result::BadEntry, iommu_.execute(pasidCache(0, 1)));
	/* A PASID that the directory has no room for. */
	EXPECT_TRUE(memory_.store(kDirectoryGpa, kTableGpa | kPresent));
	EXPECT_EQ(Result::Done, iommu_.execute(pasidCache(0, 0xfffff)));
	EXPECT_EQ(Result::Done, iommu_.execute(pasidCache(0, 1)));
	EXPECT_EQ(1u, function.attached.size());
}

/* The attack: all directory entries lead to one table whose 64 entries are present, so that the
 * host should make half a million page tables. */
TEST_F(Rig, GuestThatWantsAllTables)
{
	FakeDevice &function = device(5);

	for (uint64_t i = 0; i < 512; i++)
		EXPECT_TRUE(memory_.store(kGpa + 0x4000 + 8 * i, kTableGpa | kPresent));
	for (uint32_t pasid = 0; pasid < 64; pasid++)
		setEntry(pasid, kPresent | kFirstStage, 1, 0x105000);
	iommu_.addFunction(kRid, function);
	iommu_.setDirectory(kRid, kGpa + 0x4000, 2);
	EXPECT_EQ(VirtualIommu::kMaxSpaces, function.attached.size());
	EXPECT_EQ(VirtualIommu::kMaxSpaces, nestedTables());
	EXPECT_EQ(Result::BadEntry, iommu_.execute(pasidCacheAll()));
	iommu_.removeDevice(function);
	EXPECT_EQ(0u, nestedTables());
	EXPECT_TRUE(function.attached.empty());
}

TEST(VirtualIommuLife, DestructorDetachesAndDestroys)
{
	FakeKernel kernel;
	wd::Iommufd iommufd(kernel);
	alignas(4096) static std::byte ram[1 << 16];
	wd::vmm::GuestMemory memory(iommufd);
	FakeDevice function(5);

	memory.add(0, ram);
	ASSERT_TRUE(memory.store(0, 0x1000 | kPresent));
	ASSERT_TRUE(memory.store(0x1000 + 64 + 16, 0x5000));
	ASSERT_TRUE(memory.store(0x1000 + 64, kPresent | kFirstStage));
	{
		VirtualIommu iommu(memory, 5);

		iommu.addFunction(kRid, function);
		iommu.setDirectory(kRid, 0, 0);
		EXPECT_EQ(1u, function.attached.size());
	}
	EXPECT_TRUE(function.attached.empty());
	EXPECT_TRUE(kernel.tables.empty());
}

} // namespace test
