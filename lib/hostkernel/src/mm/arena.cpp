// SPDX-License-Identifier: GPL-2.0-only
#include "arena.h"

#include "charge.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <fcntl.h>
#include <linux/bug.h>
#include <linux/mm.h>

#include "base/standard_fds.h"
#include "sched/thread_state.h"

namespace wd::hostkernel
{
namespace
{

constexpr unsigned kOrders = 22; /* up to 8 GiB in one piece */
constexpr size_t kPoisonBytes = 64;
constexpr unsigned char kPoison = 0xaa;
/* A block of this order or more returns its memory to the host when it is freed. */
constexpr unsigned kPunchOrder = 6;

/**
 * Blocks of 2^order pages, with a free list per order. New blocks come from the frontier, which
 * only grows. The arena splits blocks, but never joins them again: there is enough address space,
 * and large free blocks hold no memory.
 */
class Arena
{
public:
	Arena();

	void *allocate(unsigned order, bool zero);
	void free(void *address, unsigned order);

	bool contains(const void *address, size_t length) const
	{
		auto at = reinterpret_cast<uintptr_t>(address), base = uintptr_t(base_);
		return at >= base && at - base <= size_ && length <= size_ - (at - base);
	}
	uint64_t offset(const void *address) const
	{
		return static_cast<uint64_t>(static_cast<const char *>(address) - base_);
	}
	int fd() const { return fd_; }

private:
	bool map(size_t size);
	size_t take(unsigned order);
	bool punched(unsigned order) const { return order >= kPunchOrder; }

	int fd_ = -1;
	char *base_ = nullptr;
	size_t size_ = 0;
	std::mutex mutex_;
	size_t frontier_ = 0;				  /* first page never used */
	std::array<std::vector<uint32_t>, kOrders> free_; /* page numbers */
	unsigned char *order_ = nullptr;		  /* order + 1, by the block's first page */
};

/* @size bytes of address space, aligned to the largest block, so that every block is aligned. */
char *reserve(size_t size)
{
	size_t align = std::min(size, PAGE_SIZE << (kOrders - 1));
	void *at = mmap(nullptr, size + align, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return nullptr;
	auto *begin = static_cast<char *>(at);
	size_t skip = -reinterpret_cast<uintptr_t>(begin) & (align - 1);
	if (skip)
		munmap(begin, skip);
	if (align - skip)
		munmap(begin + skip + size, align - skip);
	return begin + skip;
}

bool Arena::map(size_t size)
{
	if (ftruncate(fd_, static_cast<off_t>(size)))
		return false;
	void *at = reserve(size);
	if (!at)
		return false;
	if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd_,
		 0) == MAP_FAILED) {
		munmap(at, size);
		return false;
	}
	void *orders = mmap(nullptr, size >> PAGE_SHIFT, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (orders == MAP_FAILED) {
		munmap(at, size);
		return false;
	}
	madvise(at, size, MADV_DONTDUMP);
	/*
	 * A child of fork() does not get the pages: they are shared, so it would write into its
	 * parent's kernel.
	 */
	madvise(at, size, MADV_DONTFORK);
	base_ = static_cast<char *>(at);
	order_ = static_cast<unsigned char *>(orders);
	size_ = size;
	return true;
}

Arena::Arena()
{
	fd_ = awayFromStandard(memfd_create("hostkernel-pages", MFD_CLOEXEC));
	if (fd_ < 0)
		throw std::system_error(errno, std::generic_category(), "memfd of kernel pages");
	for (size_t size = size_t{64} << 30; size >= size_t{256} << 20; size >>= 1)
		if (map(size))
			return;
	throw std::system_error(ENOMEM, std::generic_category(), "mapping of kernel pages");
}

/* @return the page number, or SIZE_MAX. */
size_t Arena::take(unsigned order)
{
	for (unsigned o = order; o < kOrders; o++) {
		if (free_[o].empty() || (o != order && punched(o) != punched(order)))
			continue;
		uint32_t page = free_[o].back();
		free_[o].pop_back();
		while (o-- > order)
			free_[o].push_back(page + (1u << o));
		return page;
	}
	size_t count = size_t{1} << order;
	/* Align the block to its size. The pages skipped cost only address space. */
	size_t page = (frontier_ + count - 1) & ~(count - 1);
	if (page + count > size_ >> PAGE_SHIFT)
		return SIZE_MAX;
	frontier_ = page + count;
	return page;
}

void *Arena::allocate(unsigned order, bool zero)
{
	char *address;
	{
		std::lock_guard lock(mutex_);
		size_t page = take(order);
		if (page == SIZE_MAX)
			return nullptr;
		order_[page] = static_cast<unsigned char>(order + 1);
		address = base_ + (page << PAGE_SHIFT);
	}
	if (zero && !punched(order))
		memset(address, 0, PAGE_SIZE << order);
	return address;
}

void Arena::free(void *address, unsigned order)
{
	size_t page = offset(address) >> PAGE_SHIFT;
	{
		std::lock_guard lock(mutex_);
		if (WARN(!contains(address, PAGE_SIZE) || order_[page] != order + 1,
			 "pages %p of order %u are not allocated", address, order))
			return;
		order_[page] = 0;
	}
	if (punched(order))
		fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  static_cast<off_t>(offset(address)),
			  static_cast<off_t>(PAGE_SIZE << order));
	else
		memset(address, kPoison, kPoisonBytes);
	std::lock_guard lock(mutex_);
	free_[order].push_back(static_cast<uint32_t>(page));
}

Arena &arena()
{
	/* Never destroyed, since devices may still read the arena while the process exits. */
	static Arena *instance = new Arena;
	return *instance;
}

std::atomic<uint64_t> pageAllocations, pageBytes;

unsigned orderOf(size_t pages)
{
	return static_cast<unsigned>(std::bit_width(pages - 1));
}

} // namespace

void *arenaAllocate(size_t pages, bool zero)
{
	if (!pages || orderOf(pages) >= kOrders)
		return nullptr;
	return arena().allocate(orderOf(pages), zero);
}

void arenaFree(void *address, size_t pages)
{
	arena().free(address, orderOf(pages));
}

bool arenaContains(const void *address, size_t length)
{
	return arena().contains(address, length);
}

int arenaFd()
{
	return arena().fd();
}

uint64_t arenaOffset(const void *address)
{
	return arena().offset(address);
}

uint64_t arenaPageAllocations()
{
	return pageAllocations.load(std::memory_order_relaxed);
}

uint64_t arenaPageBytes()
{
	return pageBytes.load(std::memory_order_relaxed);
}

namespace
{

void *countedPages(gfp_t gfp, size_t pages)
{
	if (gfpflags_allow_blocking(gfp))
		might_sleep();
	if (!(gfp & __GFP_NOFAIL) && shouldFail(FailPoint::Allocation))
		return nullptr;
	void *address = arenaAllocate(pages, gfp & __GFP_ZERO);
	if (address) {
		pageAllocations.fetch_add(1, std::memory_order_relaxed);
		pageBytes.fetch_add(pages << PAGE_SHIFT, std::memory_order_relaxed);
		noteCharge(gfp, pages << PAGE_SHIFT);
	}
	return address;
}

void countedFree(void *address, size_t pages)
{
	pageAllocations.fetch_sub(1, std::memory_order_relaxed);
	pageBytes.fetch_sub(pages << PAGE_SHIFT, std::memory_order_relaxed);
	arenaFree(address, pages);
}

} // namespace
} // namespace wd::hostkernel

using namespace wd::hostkernel;

unsigned long __get_free_pages(gfp_t gfp, unsigned int order)
{
	/* As in Linux. Code that needs more uses the DMA API or alloc_pages_exact(). */
	if (order >= MAX_ORDER)
		return 0;
	return reinterpret_cast<unsigned long>(countedPages(gfp, size_t{1} << order));
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	return __get_free_pages(gfp | __GFP_ZERO, 0);
}

void free_pages(unsigned long addr, unsigned int order)
{
	if (addr)
		countedFree(reinterpret_cast<void *>(addr), size_t{1} << order);
}

struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	unsigned long addr = __get_free_pages(gfp, order);

	return addr ? virt_to_page(reinterpret_cast<void *>(addr)) : nullptr;
}

void __free_pages(struct page *page, unsigned int order)
{
	if (page)
		countedFree(page_address(page), size_t{1} << order);
}

void *alloc_pages_exact(size_t size, gfp_t gfp)
{
	return size ? countedPages(gfp, PFN_UP(size)) : nullptr;
}

void free_pages_exact(void *virt, size_t size)
{
	if (virt)
		countedFree(virt, PFN_UP(size));
}
