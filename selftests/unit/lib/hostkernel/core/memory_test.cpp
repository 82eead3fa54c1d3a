// SPDX-License-Identifier: Apache-2.0
/* Kernel memory, user copies, and physical memory: counted, bounded, and never a crash. */
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "base/bits.h"
#include "booted.h"
#include "test_device.h"

using namespace wd::hostkernel;

namespace
{

constexpr size_t kPage = wd::kPageSize;

/** Two pages of memory, and after them a page without access. */
class Hole
{
public:
	Hole() : base_(static_cast<char *>(map(3)))
	{
		mprotect(base_ + 2 * kPage, kPage, PROT_NONE);
	}
	~Hole() { munmap(base_, 3 * kPage); }
	char *begin() { return base_; }
	char *end() { return base_ + 2 * kPage; }

private:
	static void *map(size_t pages)
	{
		return mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	char *base_;
};

TEST(Physical, AccessesOfHolesFailAndNothingElse)
{
	auto &memory = physicalMemory();
	Hole hole;
	auto pa = reinterpret_cast<uint64_t>(hole.begin()), end = pa + 2 * kPage;
	char data[64];
	memset(data, 7, sizeof(data));
	EXPECT_TRUE(memory.write(pa, data, sizeof(data)));
	memset(data, 0, sizeof(data));
	EXPECT_TRUE(memory.read(pa, data, sizeof(data)));
	EXPECT_EQ(data[63], 7);
	EXPECT_TRUE(memory.read(end - 64, data, 64));
	EXPECT_FALSE(memory.read(end - 63, data, 64));
	EXPECT_FALSE(memory.write(end - 1, data, 2));
	EXPECT_EQ(hole.end()[-1], data[0]); /* the bytes before the hole are written */
	std::vector<char> large(3 * kPage);
	EXPECT_FALSE(memory.read(pa, large.data(), large.size()));
	EXPECT_EQ(large[0], 7);
	uint64_t value = 0;
	EXPECT_FALSE(memory.load(end, 8, value));
	EXPECT_FALSE(memory.store(end, 8, 1));
	/* Invalid addresses: page 0, noncanonical, an unused mm id. */
	EXPECT_FALSE(memory.load(8, 8, value));
	EXPECT_FALSE(memory.load(uint64_t{1} << 60, 8, value));
	EXPECT_FALSE(memory.load((uint64_t{31} << 47) | pa, 8, value));
	EXPECT_FALSE(memory.read(~uint64_t{0}, data, 2));
}

TEST(Physical, WordsAreAtomicAndAligned)
{
	auto &memory = physicalMemory();
	alignas(8) uint64_t word = 0x1122334455667788;
	auto pa = reinterpret_cast<uint64_t>(&word);
	uint64_t value = 0;
	EXPECT_TRUE(memory.load(pa, 1, value));
	EXPECT_EQ(value, 0x88u);
	EXPECT_TRUE(memory.load(pa + 2, 2, value));
	EXPECT_EQ(value, 0x5566u);
	EXPECT_TRUE(memory.load(pa + 4, 4, value));
	EXPECT_EQ(value, 0x11223344u);
	EXPECT_FALSE(memory.load(pa + 1, 8, value));
	EXPECT_FALSE(memory.load(pa, 3, value));
	EXPECT_FALSE(memory.store(pa + 2, 4, 0));
	EXPECT_TRUE(memory.store(pa, 4, 0xaabbccdd));
	EXPECT_EQ(word, 0x11223344aabbccdd);
	uint64_t expected = 1;
	bool exchanged = true;
	EXPECT_TRUE(memory.compareExchange(pa, expected, 5, exchanged));
	EXPECT_FALSE(exchanged);
	EXPECT_EQ(expected, 0x11223344aabbccdd);
	EXPECT_TRUE(memory.compareExchange(pa, expected, 5, exchanged));
	EXPECT_TRUE(exchanged);
	EXPECT_EQ(word, 5u);
}

TEST(Physical, ReadOnlyPagesRefuseWrites)
{
	void *page = mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	auto pa = reinterpret_cast<uint64_t>(page);
	uint64_t value = 1;
	EXPECT_TRUE(physicalMemory().load(pa, 8, value));
	EXPECT_EQ(value, 0u);
	EXPECT_FALSE(physicalMemory().store(pa, 8, 1));
	munmap(page, kPage);
}

class MemoryTest : public BootedTest
{
protected:
	void SetUp() override
	{
		BootedTest::SetUp();
		ASSERT_EQ(test::registerDevice(), 0);
		fd_ = caller_->open("/dev/hktest", O_RDWR);
		ASSERT_GE(fd_, 0);
	}
	void TearDown() override
	{
		caller_.reset();
		test::unregisterDevice();
		BootedTest::TearDown();
	}
	long call(test::Command command, const void *argument)
	{
		return caller_->ioctl(fd_, command, reinterpret_cast<uintptr_t>(argument));
	}
	int fd_ = -1;
};

TEST_F(MemoryTest, SlabIsZeroedAlignedAndBounded)
{
	auto *p = static_cast<unsigned char *>(kzalloc(4096, GFP_KERNEL));
	EXPECT_TRUE(PAGE_ALIGNED(p));
	EXPECT_EQ(p[0] | p[4095], 0);
	kfree(p);
	EXPECT_EQ(kmalloc(KMALLOC_MAX_SIZE + 1, GFP_KERNEL), nullptr);
	EXPECT_EQ(kmalloc_array(SIZE_MAX / 2, 3, GFP_KERNEL), nullptr);
	EXPECT_EQ(kvcalloc(1ul << 32, 1ul << 32, GFP_KERNEL), nullptr);
	void *large = kvmalloc(KMALLOC_MAX_SIZE * 2, GFP_KERNEL);
	EXPECT_NE(large, nullptr);
	kvfree(large);
	EXPECT_EQ(kmalloc(0, GFP_KERNEL), ZERO_SIZE_PTR);
	kfree(ZERO_SIZE_PTR);
	kfree(nullptr);
}

TEST_F(MemoryTest, PagesAreZeroedAndHaveAddresses)
{
	for (unsigned order = 0; order < MAX_ORDER; order++) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
		ASSERT_NE(page, nullptr);
		auto *bytes = static_cast<char *>(page_address(page));
		EXPECT_TRUE(IS_ALIGNED(page_to_phys(page), PAGE_SIZE << order));
		EXPECT_EQ(virt_to_page(bytes), page);
		EXPECT_EQ(phys_to_virt(page_to_phys(page)), bytes);
		EXPECT_EQ(page_to_pfn(page + 1), page_to_pfn(page) + 1);
		EXPECT_EQ(memchr_inv(bytes, 0, PAGE_SIZE << order), nullptr);
		memset(bytes, 0xff, PAGE_SIZE << order);
		__free_pages(page, order);
	}
	EXPECT_EQ(alloc_pages(GFP_KERNEL, MAX_ORDER), nullptr);
}

TEST(PagesDeath, SecondFreeWarns)
{
	GTEST_FLAG_SET(death_test_style, "threadsafe");
	unsigned long page = get_zeroed_page(GFP_KERNEL);
	EXPECT_DEATH((free_page(page), free_page(page)), "not allocated");
	free_page(page);
}

TEST_F(MemoryTest, UserCopiesFaultCleanly)
{
	test::Copy request{41, 0};
	EXPECT_EQ(call(test::kCopy, &request), 0);
	EXPECT_EQ(request.value, 42u);
	Hole hole;
	/*
	 * Attack: the struct, or its buffer, ends in a hole, is in the zero page, or looks like an
	 * address of the kernel.
	 */
	EXPECT_EQ(call(test::kCopy, hole.end() - 8), -EFAULT);
	EXPECT_EQ(call(test::kCopy, nullptr), -EFAULT);
	EXPECT_EQ(call(test::kCopy, reinterpret_cast<void *>(0xffff800000000000)), -EFAULT);
	request.buffer = reinterpret_cast<uint64_t>(hole.end() - 4000);
	EXPECT_EQ(call(test::kCopy, &request), -EFAULT);
	request.buffer = reinterpret_cast<uint64_t>(hole.end() - 4096);
	EXPECT_EQ(call(test::kCopy, &request), 0);
	EXPECT_EQ(hole.end()[-1], 0x5a);
}

TEST_F(MemoryTest, StringsEndAtTheHole)
{
	Hole hole;
	memcpy(hole.end() - 6, "abcde", 6);
	EXPECT_EQ(call(test::kString, hole.end() - 6), 5);
	hole.end()[-1] = 'f';
	EXPECT_EQ(call(test::kString, hole.end() - 6), -EFAULT);
	EXPECT_EQ(call(test::kString, "0123456789abcdef"), -EINVAL);
	EXPECT_EQ(call(test::kString, "0123456789abcde"), 15);
}

TEST_F(MemoryTest, StructsOfOtherSizes)
{
	uint64_t request[4] = {16, 7, 0, 0};
	EXPECT_EQ(call(test::kStruct, request), 7);
	request[0] = 8; /* an older program: the kernel takes the rest as 0 */
	EXPECT_EQ(call(test::kStruct, request), 0);
	request[0] = 32; /* a newer program, which does not use the new fields */
	EXPECT_EQ(call(test::kStruct, request), 7);
	request[3] = 1; /* a newer program uses a field that the kernel does not know */
	EXPECT_EQ(call(test::kStruct, request), -E2BIG);
	request[0] = ~0ull;
	request[3] = 0;
	long ret = call(test::kStruct, request);
	EXPECT_TRUE(ret == -EFAULT || ret == -E2BIG);
}

TEST_F(MemoryTest, EveryAllocationMayFail)
{
	failNth(FailPoint::Allocation, 0);
	ASSERT_EQ(call(test::kAllocate, nullptr), 0);
	uint64_t calls = failNth(FailPoint::Allocation, 0);
	ASSERT_GE(calls, 7u);
	for (uint64_t nth = 1; nth <= calls; nth++) {
		failNth(FailPoint::Allocation, nth);
		EXPECT_EQ(call(test::kAllocate, nullptr), -ENOMEM) << nth;
	}
	failNth(FailPoint::Allocation, 0);
	EXPECT_EQ(call(test::kAllocate, nullptr), 0);
	/* Failures hit only threads that work for a caller. */
	failNth(FailPoint::Allocation, 1);
	void *p = kmalloc(8, GFP_KERNEL);
	EXPECT_NE(p, nullptr);
	kfree(p);
	failNth(FailPoint::Allocation, 0);
}

TEST_F(MemoryTest, EveryUserCopyMayFail)
{
	test::Copy request{1, 0};
	for (uint64_t nth = 1; nth <= 2; nth++) {
		failNth(FailPoint::CopyUser, nth);
		EXPECT_EQ(call(test::kCopy, &request), -EFAULT);
	}
	failNth(FailPoint::CopyUser, 3);
	EXPECT_EQ(call(test::kCopy, &request), 0);
	failNth(FailPoint::CopyUser, 0);
}

TEST_F(MemoryTest, AThreadAsksForItsOwnFailures)
{
	const int fd = caller_->open("/proc/thread-self/fail-nth", O_RDWR);
	test::Copy request{1, 0};
	char text[16] = "";

	ASSERT_GE(fd, 0);
	EXPECT_EQ(caller_->pwrite(fd, "2", 1, 0), 1);
	std::thread([&] { EXPECT_EQ(call(test::kAllocate, nullptr), 0); }).join();
	EXPECT_EQ(caller_->pread(fd, text, sizeof(text), 0), 2);
	EXPECT_STREQ(text, "2\n"); /* the read itself was the first request */
	EXPECT_EQ(call(test::kAllocate, nullptr), -ENOMEM);
	EXPECT_EQ(caller_->pread(fd, text, sizeof(text), 0), 2);
	EXPECT_STREQ(text, "0\n");
	EXPECT_EQ(call(test::kAllocate, nullptr), 0);
	EXPECT_EQ(caller_->pwrite(fd, "1", 1, 0), 1);
	EXPECT_EQ(call(test::kCopy, &request), -EFAULT);
	EXPECT_EQ(caller_->pwrite(fd, "3", 1, 0), 1);
	EXPECT_EQ(caller_->pwrite(fd, "none", 4, 0), -EINVAL);
	EXPECT_EQ(caller_->pwrite(fd, "0", 1, 0), 1);
	EXPECT_EQ(call(test::kAllocate, nullptr), 0);
	EXPECT_EQ(caller_->close(fd), 0);
	EXPECT_EQ(caller_->open("/proc/self/fail-nth", O_RDWR), -ENOENT);
}

TEST_F(MemoryTest, StatusTellsWhatIsPinned)
{
	const int fd = caller_->open("/proc/self/status", O_RDONLY);
	char text[64] = "";

	ASSERT_GE(fd, 0);
	EXPECT_GT(caller_->read(fd, text, sizeof(text) - 1), 0);
	EXPECT_STREQ(text, "VmPin:\t       0 kB\n");
	EXPECT_EQ(caller_->read(fd, text, sizeof(text)), 0);
}

} // namespace
