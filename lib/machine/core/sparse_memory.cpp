// SPDX-License-Identifier: Apache-2.0
/*
 * The lock protects the set of pages. Accesses to their bytes hold it shared and are relaxed
 * atomics, since devices and processors use the bytes at the same time, as on a real machine.
 */
#include "machine/sparse_memory.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>

#include "base/bits.h"
#include "base/shared_words.h"

namespace wd::machine
{

namespace
{

void checkRange(uint64_t base, uint64_t length)
{
	if ((base | length) % SparseMemory::kPageSize || base + length < base)
		throw std::invalid_argument("sparse memory range is not whole pages");
}

} // namespace

SparseMemory::SparseMemory() = default;
SparseMemory::~SparseMemory() = default;

SparseMemory::SparseMemory(uint64_t base, uint64_t length)
{
	addRange(base, length);
}

void SparseMemory::addRange(uint64_t base, uint64_t length)
{
	checkRange(base, length);
	if (!length)
		return;
	std::unique_lock lock(mutex_);
	uint64_t first = base / kPageSize, last = first + length / kPageSize;
	auto next = ranges_.upper_bound(first);

	if (next != ranges_.begin() && std::prev(next)->second >= first)
		--next;
	while (next != ranges_.end() && next->first <= last) {
		first = std::min(first, next->first);
		last = std::max(last, next->second);
		next = ranges_.erase(next);
	}
	ranges_[first] = last;
}

void SparseMemory::removeRange(uint64_t base, uint64_t length)
{
	checkRange(base, length);
	if (!length)
		return;
	std::unique_lock lock(mutex_);
	const uint64_t first = base / kPageSize, last = first + length / kPageSize;
	auto next = ranges_.upper_bound(first);

	if (next != ranges_.begin() && std::prev(next)->second > first)
		--next;
	while (next != ranges_.end() && next->first < last) {
		const auto [start, end] = *next;

		next = ranges_.erase(next);
		if (start < first)
			ranges_[start] = first;
		if (end > last)
			ranges_[last] = end;
	}
	std::erase_if(pages_, [&](const auto &p) { return p.first >= first && p.first < last; });
}

size_t SparseMemory::residentPages() const
{
	std::shared_lock lock(mutex_);

	return pages_.size();
}

bool SparseMemory::covered(uint64_t page) const
{
	auto next = ranges_.upper_bound(page);

	return next != ranges_.begin() && std::prev(next)->second > page;
}

SparseMemory::Page *SparseMemory::findPage(uint64_t page) const
{
	auto found = pages_.find(page);

	return found == pages_.end() ? nullptr : found->second.get();
}

/*
 * Take the shared lock, and make the missing pages of [@pa, +@len) up to the first hole. @ok:
 * whether there is no hole.
 */
std::shared_lock<std::shared_mutex> SparseMemory::lockForWrite(uint64_t pa, size_t len, bool &ok)
{
	const uint64_t first = pa / kPageSize, last = len ? (pa + len - 1) / kPageSize : first;
	auto present = [&] {
		for (uint64_t page = first; page <= last; page++)
			if (!findPage(page))
				return false;
		return true;
	};
	ok = pa + len >= pa;
	std::shared_lock shared(mutex_);

	if (!ok || present())
		return shared;
	for (;;) {
		shared.unlock();
		{
			std::unique_lock lock(mutex_);

			for (uint64_t page = first; page <= last; page++) {
				if (!covered(page)) {
					ok = false;
					break;
				}
				auto &slot = pages_[page];

				if (!slot)
					slot = std::make_unique<Page>();
			}
		}
		shared.lock();
		if (!ok || present())
			return shared;
	}
}

bool SparseMemory::read(uint64_t pa, void *dst, size_t len) noexcept
{
	std::shared_lock lock(mutex_);
	auto *out = static_cast<std::byte *>(dst);

	if (pa + len < pa)
		return false;
	while (len) {
		const uint64_t offset = pa % kPageSize;
		const size_t step = std::min<uint64_t>(len, kPageSize - offset);
		Page *page = findPage(pa / kPageSize);

		if (page)
			copyFromShared(out, reinterpret_cast<const std::byte *>(page) + offset,
				       step);
		else if (covered(pa / kPageSize))
			std::memset(out, 0, step);
		else
			return false;
		out += step;
		pa += step;
		len -= step;
	}
	return true;
}

bool SparseMemory::write(uint64_t pa, const void *src, size_t len) noexcept
{
	bool ok;
	auto lock = lockForWrite(pa, len, ok);
	auto *in = static_cast<const std::byte *>(src);

	while (len) {
		const uint64_t offset = pa % kPageSize;
		const size_t step = std::min<uint64_t>(len, kPageSize - offset);
		Page *page = findPage(pa / kPageSize);

		if (!page)
			return false;
		copyToShared(reinterpret_cast<std::byte *>(page) + offset, in, step);
		in += step;
		pa += step;
		len -= step;
	}
	return ok;
}

bool SparseMemory::load(uint64_t pa, unsigned size, uint64_t &value) noexcept
{
	if (!isWord(pa, size))
		return false;
	std::shared_lock lock(mutex_);
	Page *page = findPage(pa / kPageSize);

	value = 0;
	if (!page)
		return covered(pa / kPageSize);
	const auto *p = reinterpret_cast<const std::byte *>(page) + pa % kPageSize;

	value = loadShared(p, size);
	return true;
}

bool SparseMemory::store(uint64_t pa, unsigned size, uint64_t value) noexcept
{
	if (!isWord(pa, size))
		return false;
	bool ok;
	auto lock = lockForWrite(pa, size, ok);

	if (!ok)
		return false;
	auto *p = reinterpret_cast<std::byte *>(findPage(pa / kPageSize)) + pa % kPageSize;

	storeShared(p, size, value);
	return true;
}

bool SparseMemory::compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
				   bool &exchanged) noexcept
{
	if (!isWord(pa, 8))
		return false;
	bool ok;
	auto lock = lockForWrite(pa, 8, ok);

	if (!ok)
		return false;
	auto *word = reinterpret_cast<std::byte *>(findPage(pa / kPageSize)) + pa % kPageSize;

	exchanged = exchangeShared(word, expected, desired);
	return true;
}

} // namespace wd::machine
