// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmalloc() on the heap of the C library, which knows the size of each block and which sanitizers
 * watch. This file adds counting, zeroing, poisoning and fault injection.
 */
#include "charge.h"
#include "hostkernel/charge.h"
#include "sched/thread_state.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <execinfo.h>
#include <malloc.h>
#include <map>
#include <mutex>

#include <linux/slab.h>
#include <linux/string.h>

namespace wd::hostkernel
{
namespace
{

constexpr unsigned char kFreed = 0x6b;
/* Poison only the head of an object: more would cost more than it would find. */
constexpr size_t kPoisonLimit = 512;
/* Sizes that are powers of two, up to a page, are aligned to their size. */
constexpr size_t kAlignFrom = 64, kAlignTo = 4096;

std::atomic<uint64_t> allocations, bytes;
thread_local uint64_t charged;

/* Call site of an allocation, kept only with WD_LEAK=1. */
struct Site {
	void *frames[6];
	int depth;
};
bool tracing()
{
	static const bool on = secure_getenv("WD_LEAK") != nullptr;
	return on;
}
std::mutex sitesMutex;
std::map<const void *, Site> &sites()
{
	static auto *map = new std::map<const void *, Site>;
	return *map;
}

void account(void *p)
{
	allocations.fetch_add(1, std::memory_order_relaxed);
	bytes.fetch_add(malloc_usable_size(p), std::memory_order_relaxed);
	if (!tracing())
		return;
	Site site;
	site.depth = backtrace(site.frames, 6);
	std::lock_guard lock(sitesMutex);
	sites()[p] = site;
}

void unaccount(const void *p, size_t usable)
{
	allocations.fetch_sub(1, std::memory_order_relaxed);
	bytes.fetch_sub(usable, std::memory_order_relaxed);
	if (!tracing())
		return;
	std::lock_guard lock(sitesMutex);
	sites().erase(p);
}

void *allocate(size_t size, gfp_t flags)
{
	if (gfpflags_allow_blocking(flags)) {
		might_sleep();
		beforeAllocation();
	}
	if (!size)
		return ZERO_SIZE_PTR;
	if (!(flags & __GFP_NOFAIL) && shouldFail(FailPoint::Allocation))
		return nullptr;
	void *p;
	if (size >= kAlignFrom && size <= kAlignTo && !(size & (size - 1))) {
		p = aligned_alloc(size, size);
		if (p && (flags & __GFP_ZERO))
			memset(p, 0, size);
	} else {
		p = flags & __GFP_ZERO ? calloc(1, size) : malloc(size);
	}
	if (p) {
		countStep();
		account(p);
		noteCharge(flags, size);
	}
	return p;
}

void release(const void *p)
{
	if (ZERO_OR_NULL_PTR(p))
		return;
	void *block = const_cast<void *>(p);
	size_t usable = malloc_usable_size(block);
	unaccount(p, usable);
	countStep();
#if !defined(__SANITIZE_ADDRESS__)
	memset(block, kFreed, usable < kPoisonLimit ? usable : kPoisonLimit);
	/* Without this the compiler would drop the memset(), since it knows free(). */
	asm volatile("" : : "r"(block) : "memory");
#endif
	free(block);
}

} // namespace

void noteCharge(gfp_t flags, size_t size)
{
	if (flags & __GFP_ACCOUNT)
		charged += size;
}

uint64_t chargedBytes()
{
	return charged;
}

AllocationCount slabAllocations()
{
	return {allocations.load(), bytes.load()};
}

void slabReport()
{
	if (!tracing())
		return;
	std::lock_guard lock(sitesMutex);
	for (auto &[p, site] : sites()) {
		fprintf(stderr, "leak: %zu bytes at %p, allocated from\n",
			malloc_usable_size(const_cast<void *>(p)), p);
		backtrace_symbols_fd(site.frames, site.depth, 2);
	}
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

void *__kmalloc(size_t size, gfp_t flags)
{
	return size > KMALLOC_MAX_SIZE ? nullptr : allocate(size, flags);
}

void *kvmalloc(size_t size, gfp_t flags)
{
	/*
	 * As Linux, which also WARNs above INT_MAX. Code checks sizes that a caller chooses before
	 * it calls this.
	 */
	return size > INT_MAX ? nullptr : allocate(size, flags);
}

size_t ksize(const void *p)
{
	return ZERO_OR_NULL_PTR(p) ? 0 : malloc_usable_size(const_cast<void *>(p));
}

void kfree(const void *p)
{
	release(p);
}

void kfree_sensitive(const void *p)
{
	if (!ZERO_OR_NULL_PTR(p))
		memzero_explicit(const_cast<void *>(p), ksize(p));
	release(p);
}

void kvfree(const void *p)
{
	release(p);
}
