// SPDX-License-Identifier: GPL-2.0-only
#include "pages.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <sys/mman.h>

#include <linux/bug.h>
#include <linux/mm.h>

#include "hidden_mapping.h"

namespace wd::hostkernel
{
namespace
{

/*
 * Each page has a 32-bit counter. A table has the counters of 2^18 pages (1 GiB); the first pin
 * there makes it, and it stays. The host gives a table memory only where it is used.
 */
constexpr unsigned kLeafBits = 18, kTopBits = 40 - kLeafBits;

using Counter = std::atomic<uint32_t>;
using Leaf = std::atomic<Counter *>;

std::atomic<uint64_t> total;

template <class T>
T *reserve(size_t count)
{
	void *at = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	BUG_ON(at == MAP_FAILED);
	return static_cast<T *>(at);
}

Counter *counterOf(uint64_t pfn)
{
	static Leaf *const top = reserve<Leaf>(size_t{1} << kTopBits);
	Leaf &leaf = top[pfn >> kLeafBits];
	Counter *counters = leaf.load(std::memory_order_acquire);
	if (!counters) {
		Counter *fresh = reserve<Counter>(size_t{1} << kLeafBits);
		if (leaf.compare_exchange_strong(counters, fresh, std::memory_order_acq_rel))
			counters = fresh;
		else
			munmap(fresh, sizeof(Counter) << kLeafBits);
	}
	return &counters[pfn & ((1u << kLeafBits) - 1)];
}

/* Call @visit(counters, count) for each run of pages whose counters are in one table. */
template <class Visit>
void forRuns(uint64_t pfn, uint64_t count, Visit visit)
{
	while (count) {
		uint64_t room = (uint64_t{1} << kLeafBits) - (pfn & ((1u << kLeafBits) - 1));
		uint64_t run = std::min(count, room);
		visit(counterOf(pfn), run);
		pfn += run;
		count -= run;
	}
}

} // namespace

void pinCountAdd(uint64_t pfn, uint64_t count)
{
	total.fetch_add(count, std::memory_order_relaxed);
	forRuns(pfn, count, [](Counter *counters, uint64_t run) {
		for (uint64_t i = 0; i < run; i++)
			counters[i].fetch_add(1, std::memory_order_relaxed);
	});
}

void pinCountSub(uint64_t pfn, uint64_t count)
{
	uint64_t wrong = 0;
	forRuns(pfn, count, [&](Counter *counters, uint64_t run) {
		for (uint64_t i = 0; i < run; i++) {
			if (counters[i].fetch_sub(1, std::memory_order_relaxed) == 0) {
				counters[i].fetch_add(1, std::memory_order_relaxed);
				wrong++;
			}
		}
	});
	total.fetch_sub(count - wrong, std::memory_order_relaxed);
	hiddenMappingsUnpinned(pfn, count);
	WARN(wrong, "unpin of %llu pages that are not pinned, first pfn %#llx",
	     static_cast<u64>(wrong), static_cast<u64>(pfn));
}

uint64_t pinCountIn(uint64_t pfn, uint64_t count)
{
	uint64_t pins = 0;
	forRuns(pfn, count, [&](Counter *counters, uint64_t run) {
		for (uint64_t i = 0; i < run; i++)
			pins += counters[i].load(std::memory_order_relaxed);
	});
	return pins;
}

uint64_t pinnedPagesTotal()
{
	return total.load(std::memory_order_relaxed);
}

size_t remoteWritable(pid_t pid, uint64_t start, size_t pages)
{
	char path[64], line[512];
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	std::unique_ptr<FILE, int (*)(FILE *)> maps(fopen(path, "re"), fclose);
	uint64_t at = start, end = start + pages * PAGE_SIZE;
	while (maps && at < end && fgets(line, sizeof(line), maps.get())) {
		unsigned long first, last;
		char flags[5];
		if (sscanf(line, "%lx-%lx %4s", &first, &last, flags) != 3 || last <= at)
			continue;
		if (first > at || flags[1] != 'w')
			break;
		at = last;
	}
	return (std::min(at, end) - start) / PAGE_SIZE;
}

/* --- mappings of device memory --- */

namespace
{
std::shared_mutex mappingsMutex;
std::atomic<size_t> mappingCount;
std::map<uint64_t, uint64_t> &mappings() /* start -> end */
{
	static auto *map = new std::map<uint64_t, uint64_t>;
	return *map;
}
} // namespace

void deviceMappingAdd(uint64_t start, uint64_t length)
{
	std::lock_guard lock(mappingsMutex);
	mappings()[start] = start + length;
	mappingCount.store(mappings().size(), std::memory_order_relaxed);
}

void deviceMappingRemove(uint64_t start, uint64_t)
{
	std::lock_guard lock(mappingsMutex);
	mappings().erase(start);
	mappingCount.store(mappings().size(), std::memory_order_relaxed);
}

uint64_t deviceMappingClip(uint64_t start, uint64_t pages)
{
	if (!mappingCount.load(std::memory_order_relaxed))
		return pages;
	std::shared_lock lock(mappingsMutex);
	auto next = mappings().upper_bound(start);
	if (next != mappings().begin() && std::prev(next)->second > start)
		return 0;
	if (next == mappings().end())
		return pages;
	return std::min(pages, (next->first - start) >> PAGE_SHIFT);
}

} // namespace wd::hostkernel
