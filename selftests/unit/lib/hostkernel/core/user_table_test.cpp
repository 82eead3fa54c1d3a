// SPDX-License-Identifier: Apache-2.0
/* The page table of an mm, which IOMMUs walk; the faults that fill it; notifiers. */
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <vector>

#include "base/bits.h"
#include "booted.h"
#include "test_device.h"

#include <hosted/test_hooks.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>

using namespace wd::hostkernel;

namespace
{

constexpr size_t kPage = wd::kPageSize;
constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4;

/* Events of an mm, in order. */
struct Watch {
	mmu_notifier notifier;
	std::vector<std::pair<unsigned long, unsigned long>> ranges;
	unsigned released = 0;
	bool tableWasThere = false;
};
Watch *watch;
unsigned freed;
uint64_t watchedAddress;

/* Walk to the leaf entry of @address as an IOMMU does. @return 0 if there is none. */
uint64_t leafOf(mm_struct *mm, uint64_t address)
{
	uint64_t entry = reinterpret_cast<uint64_t>(mm->pgd) | kPresent;
	for (unsigned shift = 39; shift >= 12; shift -= 9) {
		auto *table = reinterpret_cast<uint64_t *>(entry & 0x000ffffffffff000);
		entry = __atomic_load_n(&table[(address >> shift) % 512], __ATOMIC_ACQUIRE);
		if (!(entry & kPresent))
			return 0;
		EXPECT_TRUE(entry & kUser);
	}
	return entry;
}

const mmu_notifier_ops watchOps = [] {
	mmu_notifier_ops ops{};
	ops.release = [](mmu_notifier *, mm_struct *mm) {
		watch->released++;
		watch->tableWasThere = leafOf(mm, watchedAddress);
	};
	ops.invalidate_range = [](mmu_notifier *, mm_struct *, unsigned long start,
				  unsigned long end) { watch->ranges.emplace_back(start, end); };
	ops.alloc_notifier = [](mm_struct *) {
		watch = new Watch{};
		return &watch->notifier;
	};
	ops.free_notifier = [](mmu_notifier *) {
		delete watch;
		watch = nullptr;
		freed++;
	};
	return ops;
}();

class UserTableTest : public BootedTest
{
protected:
	void SetUp() override
	{
		BootedTest::SetUp();
		ASSERT_EQ(test::registerDevice(), 0);
		fd_ = caller_->open("/dev/hktest", O_RDWR);
		ASSERT_EQ(caller_->ioctl(fd_, test::kGrabMm, reinterpret_cast<uintptr_t>(&mm_)), 0);
		memory_ = static_cast<char *>(mmap(nullptr, 8 * kPage, PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		watchedAddress = address(0);
		freed = 0;
	}
	void TearDown() override
	{
		munmap(memory_, 8 * kPage);
		caller_.reset();
		mmdrop(mm_);
		test::unregisterDevice();
		BootedTest::TearDown();
	}
	uint64_t address(unsigned page) const
	{
		return reinterpret_cast<uint64_t>(memory_) + page * kPage;
	}
	vm_fault_t fault(uint64_t at, bool write)
	{
		mmap_read_lock(mm_);
		vm_area_struct *vma = vma_lookup(mm_, at);
		vm_fault_t ret =
			vma ? handle_mm_fault(vma, at,
					      FAULT_FLAG_REMOTE | (write ? FAULT_FLAG_WRITE : 0),
					      nullptr)
			    : VM_FAULT_SIGSEGV;
		mmap_read_unlock(mm_);
		return ret;
	}

	int fd_ = -1;
	mm_struct *mm_ = nullptr;
	char *memory_ = nullptr;
};

TEST_F(UserTableTest, FaultsFillIt)
{
	EXPECT_EQ(leafOf(mm_, address(1)), 0u);
	EXPECT_EQ(fault(address(1) + 5, false), 0u);
	EXPECT_EQ(leafOf(mm_, address(1)), address(1) | kPresent | kUser);
	EXPECT_EQ(leafOf(mm_, address(0)), 0u);
	EXPECT_EQ(leafOf(mm_, address(2)), 0u);

	EXPECT_EQ(fault(address(1), true), 0u);
	EXPECT_EQ(leafOf(mm_, address(1)), address(1) | kPresent | kUser | kWritable);
}

/* Attack: a device asks for memory that the process does not have, or must not write. */
TEST_F(UserTableTest, FaultsAreRefused)
{
	mprotect(memory_ + 3 * kPage, kPage, PROT_NONE);
	EXPECT_EQ(fault(address(3), false), VM_FAULT_SIGSEGV);
	EXPECT_EQ(leafOf(mm_, address(3)), 0u);
	mprotect(memory_ + 4 * kPage, kPage, PROT_READ);
	EXPECT_EQ(fault(address(4), true), VM_FAULT_SIGSEGV);
	EXPECT_EQ(leafOf(mm_, address(4)), 0u);
	EXPECT_EQ(fault(address(4), false), 0u);
	EXPECT_EQ(leafOf(mm_, address(4)) & kWritable, 0u);
	EXPECT_EQ(fault(0, false), VM_FAULT_SIGSEGV);
	EXPECT_EQ(fault(TASK_SIZE, false), VM_FAULT_SIGSEGV);
	EXPECT_EQ(fault(~uint64_t{0} - 10, true), VM_FAULT_SIGSEGV);

	void *pages;
	ASSERT_EQ(caller_->mmap(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0, &pages), 0);
	EXPECT_EQ(fault(reinterpret_cast<uint64_t>(pages), false), VM_FAULT_SIGBUS);
	EXPECT_EQ(caller_->munmap(pages, kPage), 0);
}

TEST_F(UserTableTest, ChangesAreAnnouncedAfterTheEntriesWent)
{
	mmu_notifier *notifier = mmu_notifier_get(&watchOps, mm_);
	ASSERT_FALSE(IS_ERR(notifier));
	for (unsigned page = 0; page < 8; page++)
		ASSERT_EQ(fault(address(page), true), 0u);
	caller_->memoryChanged(memory_ + 2 * kPage + 7, 2 * kPage);
	ASSERT_EQ(watch->ranges.size(), 1u);
	EXPECT_EQ(watch->ranges[0], std::make_pair(address(2), address(5)));
	for (unsigned page = 0; page < 8; page++)
		EXPECT_EQ(leafOf(mm_, address(page)) == 0, page >= 2 && page < 5) << page;

	/* A range of 2 TiB of which only the last page exists, and invalid ranges. */
	constexpr size_t kFar = size_t{1} << 41;
	caller_->memoryChanged(reinterpret_cast<void *>(address(0) - kFar), kFar + kPage);
	EXPECT_EQ(leafOf(mm_, address(0)), 0u);
	caller_->memoryChanged(memory_, ~size_t{0});
	EXPECT_EQ(leafOf(mm_, address(7)), address(7) | kPresent | kUser | kWritable);

	/* The same for mappings that the hosted kernel makes and removes itself. */
	size_t before = watch->ranges.size();
	void *pages;
	ASSERT_EQ(caller_->mmap(kPage, PROT_READ, MAP_SHARED, fd_, 0, &pages), 0);
	EXPECT_EQ(caller_->munmap(pages, kPage), 0);
	EXPECT_EQ(watch->ranges.size(), before + 2);
	mmu_notifier_put(notifier);
	mmu_notifier_synchronize();
	EXPECT_EQ(freed, 1u);
}

TEST_F(UserTableTest, OneNotifierForEachKindAndMm)
{
	mmu_notifier *notifier = mmu_notifier_get(&watchOps, mm_);
	EXPECT_EQ(mmu_notifier_get(&watchOps, mm_), notifier);
	mmu_notifier_put(notifier);
	mmu_notifier_synchronize();
	EXPECT_EQ(freed, 0u);
	mmu_notifier_put(notifier);
	mmu_notifier_synchronize();
	EXPECT_EQ(freed, 1u);
}

/* A process loses its address space, then its files. A notifier lives until it is put. */
TEST_F(UserTableTest, TheEndReleasesBeforeTheTableGoes)
{
	mmu_notifier *notifier = mmu_notifier_get(&watchOps, mm_);
	ASSERT_EQ(fault(address(0), true), 0u);
	mmget(mm_);
	caller_->exec();
	EXPECT_EQ(watch->released, 0u) << "somebody else uses the mm";
	mmput(mm_);
	EXPECT_EQ(watch->released, 1u);
	EXPECT_TRUE(watch->tableWasThere);
	EXPECT_EQ(leafOf(mm_, address(0)), 0u);
	EXPECT_FALSE(mmget_not_zero(mm_));

	/* The file is still open, in a process with another mm. */
	mm_struct *other = nullptr;
	ASSERT_EQ(caller_->ioctl(fd_, test::kGrabMm, reinterpret_cast<uintptr_t>(&other)), 0);
	EXPECT_NE(other, mm_);
	EXPECT_NE(other->pgd, mm_->pgd);
	mmdrop(other);
	mmu_notifier_put(notifier);
	mmu_notifier_synchronize();
	EXPECT_EQ(freed, 1u);
}

TEST_F(UserTableTest, PinsFillItOnceItIsShared)
{
	test::Pin request = {address(0), 2, true, 0};
	auto pin = [&] {
		EXPECT_EQ(caller_->ioctl(fd_, test::kPin, reinterpret_cast<uintptr_t>(&request)),
			  2);
		EXPECT_EQ(caller_->ioctl(fd_, test::kUnpin, 0), 0);
	};
	pin();
	EXPECT_EQ(leafOf(mm_, address(0)), 0u);
	mmu_notifier *notifier = mmu_notifier_get(&watchOps, mm_);
	pin();
	EXPECT_EQ(leafOf(mm_, address(1)), address(1) | kPresent | kUser | kWritable);
	EXPECT_EQ(leafOf(mm_, address(2)), 0u);
	mmu_notifier_put(notifier);
	mmu_notifier_synchronize();
}

} // namespace
