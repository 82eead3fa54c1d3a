// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocator of I/O virtual addresses. One ordered map has the free ranges, joined where they touch,
 * and another the ranges in use. An allocation takes the top of the highest free range that fits,
 * so that addresses go downwards from the limit, as in Linux 6.1.
 */
#include <hosted/test_hooks.h>
#include <linux/iova.h>

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <mutex>
#include <new>

namespace
{

constexpr unsigned long kLastPfn = ~0UL >> 12;

/* The key of both maps is the first frame. Together they cover [start_pfn, kLastPfn]. */
struct Ranges {
	std::mutex mutex;
	std::map<unsigned long, unsigned long> free; /* first -> last */
	std::map<unsigned long, std::unique_ptr<iova>> used;
};

Ranges *rangesOf(iova_domain *iovad)
{
	return static_cast<Ranges *>(iovad->ranges);
}

/*
 * The first frame of the highest place for @size frames in [@lo, @hi], aligned to @align. 0 if
 * there is none, so callers pass a @lo of at least 1.
 */
unsigned long highestFit(unsigned long lo, unsigned long hi, unsigned long size,
			 unsigned long align)
{
	if (hi - lo < size - 1)
		return 0;
	const unsigned long first = (hi - (size - 1)) & ~(align - 1);

	return first >= lo ? first : 0;
}

/* Remove [@lo, @hi] from the free ranges. It is inside the range at @where. */
void carve(Ranges &ranges, std::map<unsigned long, unsigned long>::iterator where, unsigned long lo,
	   unsigned long hi)
{
	const unsigned long first = where->first, last = where->second;

	if (first == lo)
		ranges.free.erase(where);
	else
		where->second = lo - 1;
	if (hi < last)
		ranges.free.emplace(hi + 1, last);
}

void release(Ranges &ranges, std::map<unsigned long, std::unique_ptr<iova>>::iterator where)
{
	unsigned long lo = where->second->pfn_lo, hi = where->second->pfn_hi;

	ranges.used.erase(where);
	auto next = ranges.free.lower_bound(lo);
	if (next != ranges.free.end() && next->first == hi + 1) {
		hi = next->second;
		next = ranges.free.erase(next);
	}
	if (next != ranges.free.begin()) {
		auto previous = std::prev(next);

		if (previous->second + 1 == lo) {
			previous->second = hi;
			return;
		}
	}
	ranges.free.emplace_hint(next, lo, hi);
}

auto lookup(Ranges &ranges, unsigned long pfn)
{
	auto it = ranges.used.upper_bound(pfn);

	if (it == ranges.used.begin())
		return ranges.used.end();
	--it;
	return pfn <= it->second->pfn_hi ? it : ranges.used.end();
}

} // namespace

void init_iova_domain(iova_domain *iovad, unsigned long granule, unsigned long start_pfn)
{
	auto *ranges = new Ranges;

	iovad->granule = granule;
	iovad->start_pfn = start_pfn;
	iovad->dma_32bit_pfn = (1UL << 32) / granule;
	iovad->ranges = ranges;
	ranges->free.emplace(start_pfn, kLastPfn);
}

void put_iova_domain(iova_domain *iovad)
{
	delete rangesOf(iovad);
	iovad->ranges = nullptr;
}

iova *alloc_iova(iova_domain *iovad, unsigned long size, unsigned long limit_pfn, bool size_aligned)
{
	Ranges *ranges = rangesOf(iovad);

	if (!ranges || !size || size > kLastPfn)
		return nullptr;
	const unsigned long align = size_aligned ? std::bit_ceil(size) : 1;
	std::lock_guard lock(ranges->mutex);

	for (auto it = ranges->free.upper_bound(limit_pfn); it != ranges->free.begin();) {
		--it;
		const unsigned long hi = std::min(it->second, limit_pfn);
		const unsigned long first = highestFit(std::max(it->first, 1UL), hi, size, align);

		if (!first)
			continue;
		auto range = std::make_unique<iova>(iova{first + size - 1, first});
		iova *result = range.get();

		carve(*ranges, it, first, first + size - 1);
		ranges->used.emplace(first, std::move(range));
		return result;
	}
	return nullptr;
}

iova *find_iova(iova_domain *iovad, unsigned long pfn)
{
	Ranges *ranges = rangesOf(iovad);
	std::lock_guard lock(ranges->mutex);
	auto it = lookup(*ranges, pfn);

	return it == ranges->used.end() ? nullptr : it->second.get();
}

void free_iova(iova_domain *iovad, unsigned long pfn)
{
	Ranges *ranges = rangesOf(iovad);
	std::lock_guard lock(ranges->mutex);
	auto it = lookup(*ranges, pfn);

	if (it != ranges->used.end())
		release(*ranges, it);
}

unsigned long alloc_iova_fast(iova_domain *iovad, unsigned long size, unsigned long limit_pfn, bool)
{
	iova *range = alloc_iova(iovad, std::bit_ceil(size), limit_pfn, true);

	return range ? range->pfn_lo : 0;
}

void free_iova_fast(iova_domain *iovad, unsigned long pfn, unsigned long)
{
	free_iova(iovad, pfn);
}

iova *reserve_iova(iova_domain *iovad, unsigned long pfn_lo, unsigned long pfn_hi)
{
	Ranges *ranges = rangesOf(iovad);

	if (!ranges || pfn_lo > pfn_hi || pfn_hi > kLastPfn)
		return nullptr;
	std::lock_guard lock(ranges->mutex);

	/*
	 * Join the new range with ranges that it overlaps, so that each frame is in one range only.
	 */
	pfn_lo = std::max(pfn_lo, iovad->start_pfn);
	for (auto it = lookup(*ranges, pfn_lo); it != ranges->used.end();
	     it = lookup(*ranges, pfn_lo)) {
		if (it->second->pfn_hi >= pfn_hi)
			return it->second.get();
		pfn_lo = it->second->pfn_lo;
		release(*ranges, it);
	}
	for (auto it = ranges->used.lower_bound(pfn_lo);
	     it != ranges->used.end() && it->first <= pfn_hi;
	     it = ranges->used.lower_bound(pfn_lo)) {
		pfn_hi = std::max(pfn_hi, it->second->pfn_hi);
		release(*ranges, it);
	}
	auto where = ranges->free.upper_bound(pfn_lo);

	if (where == ranges->free.begin() || pfn_hi < pfn_lo)
		return nullptr;
	carve(*ranges, std::prev(where), pfn_lo, pfn_hi);
	auto &slot = ranges->used[pfn_lo];

	slot = std::make_unique<iova>(iova{pfn_hi, pfn_lo});
	return slot.get();
}
