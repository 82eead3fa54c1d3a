// SPDX-License-Identifier: Apache-2.0
#include "toy_guest.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <new>
#include <stdexcept>
#include <sys/mman.h>

#include "base/shared_words.h"

namespace toy
{
namespace
{

/* x86-64 page table entries (VT-d 9.7). */
constexpr uint64_t kPresent = 1 << 0, kWrite = 1 << 1, kUser = 1 << 2, kAccessed = 1 << 5;
constexpr uint64_t kDirty = 1 << 6, kFrame = 0xffffffffff000;
constexpr unsigned kLevels = 4;

unsigned indexOf(uint64_t gva, unsigned level)
{
	return gva >> (3 + 9 * level) & 0x1ff;
}

uint64_t load(const uint64_t &word)
{
	return wd::loadShared<uint64_t>(reinterpret_cast<const std::byte *>(&word));
}

void store(uint64_t &word, uint64_t value)
{
	wd::storeShared(reinterpret_cast<std::byte *>(&word), value);
}

} // namespace

Guest::Guest(wd::vmm::GuestMemory &memory, uint64_t gpa, uint64_t bytes)
	: memory_(memory),
	  gpa_(gpa)
{
	void *ram =
		::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (ram == MAP_FAILED)
		throw std::bad_alloc();
	ram_ = {static_cast<std::byte *>(ram), bytes};
	try {
		memory_.add(gpa, ram_);
	} catch (...) {
		::munmap(ram, bytes);
		throw;
	}
	for (uint64_t at = bytes; at >= kPage; at -= kPage)
		free_.push_back(gpa + at - kPage);
}

Guest::~Guest()
{
	memory_.remove(gpa_);
	::munmap(ram_.data(), ram_.size());
}

uint64_t Guest::allocate()
{
	std::lock_guard lock(mutex_);

	if (free_.empty())
		throw std::bad_alloc();
	const uint64_t frame = free_.back();

	free_.pop_back();
	std::memset(at(frame), 0, kPage);
	return frame;
}

uint64_t Guest::allocateRun(size_t frames)
{
	std::lock_guard lock(mutex_);

	std::sort(free_.begin(), free_.end(), std::greater<>());
	for (size_t first = 0; first + frames <= free_.size(); first++) {
		const uint64_t last = free_[first];

		/* free_ is in descending order, so consecutive frames are consecutive elements. */
		if (free_[first + frames - 1] != last - (frames - 1) * kPage)
			continue;
		free_.erase(free_.begin() + static_cast<ptrdiff_t>(first),
			    free_.begin() + static_cast<ptrdiff_t>(first + frames));
		return last - (frames - 1) * kPage;
	}
	throw std::bad_alloc();
}

void Guest::release(uint64_t frame)
{
	std::lock_guard lock(mutex_);

	free_.push_back(frame);
}

size_t Guest::freeFrames() const
{
	std::lock_guard lock(mutex_);

	return free_.size();
}

std::byte *Guest::at(uint64_t gpa, size_t length) const
{
	std::byte *memory = memory_.at(gpa, length);

	if (!memory)
		throw std::out_of_range("guest physical address");
	return memory;
}

uint64_t &Guest::word(uint64_t gpa) const
{
	return *reinterpret_cast<uint64_t *>(at(gpa, sizeof(uint64_t)));
}

Process::Process(Guest &guest) : guest_(guest), root_(guest.allocate()) {}

// NOLINTNEXTLINE(bugprone-exception-escape): the guest made the tables, so all are in its memory
Process::~Process()
{
	destroy(root_, kLevels);
}

void Process::destroy(uint64_t table, unsigned level)
{
	for (unsigned i = 0; i < 512; i++) {
		const uint64_t word = guest_.word(table + 8 * i);

		if (!(word & kPresent))
			continue;
		if (level > 1)
			destroy(word & kFrame, level - 1);
		else
			guest_.release(word & kFrame);
	}
	guest_.release(table);
}

void Process::reserve(uint64_t gva, uint64_t bytes, bool writable)
{
	std::lock_guard lock(mutex_);

	regions_[gva] = {bytes, writable};
}

/* The leaf entry of @gva. Makes missing tables on the way to it if @create. */
uint64_t *Process::entry(uint64_t gva, bool create) const
{
	uint64_t table = root_;

	for (unsigned level = kLevels; level > 1; level--) {
		uint64_t &word = guest_.word(table + 8 * indexOf(gva, level));

		if (!(load(word) & kPresent)) {
			if (!create)
				return nullptr;
			store(word, guest_.allocate() | kPresent | kWrite | kUser);
		}
		table = load(word) & kFrame;
	}
	return &guest_.word(table + 8 * indexOf(gva, 1));
}

bool Process::touch(uint64_t gva, bool write)
{
	std::lock_guard lock(mutex_);
	auto region = regions_.upper_bound(gva);

	if (region == regions_.begin())
		return false;
	--region;
	if (gva - region->first >= region->second.bytes || (write && !region->second.writable))
		return false;
	uint64_t *leaf = entry(gva, true);
	const uint64_t rights = kPresent | kUser | (region->second.writable ? kWrite : 0);

	if (!(load(*leaf) & kPresent))
		store(*leaf, guest_.allocate() | rights);
	else
		std::atomic_ref(*leaf).fetch_or(rights);
	return true;
}

std::vector<uint64_t> Process::unmap(uint64_t gva, uint64_t bytes)
{
	std::lock_guard lock(mutex_);
	std::vector<uint64_t> frames;

	regions_.erase(gva);
	for (uint64_t at = gva; at < gva + bytes; at += kPage) {
		uint64_t *leaf = entry(at, false);
		const uint64_t old = leaf ? std::atomic_ref(*leaf).exchange(0) : 0;

		if (old & kPresent)
			frames.push_back(old & kFrame);
	}
	return frames;
}

void Process::protect(uint64_t gva, uint64_t bytes)
{
	std::lock_guard lock(mutex_);

	regions_[gva] = {bytes, false};
	for (uint64_t at = gva; at < gva + bytes; at += kPage)
		if (uint64_t *leaf = entry(at, false))
			std::atomic_ref(*leaf).fetch_and(~kWrite);
}

std::byte *Process::access(uint64_t gva, bool write)
{
	if (!touch(gva, write))
		throw std::out_of_range("guest virtual address");
	std::lock_guard lock(mutex_);
	const uint64_t *leaf = entry(gva, false);

	if (!leaf || !(load(*leaf) & kPresent))
		throw std::out_of_range("guest virtual address");
	return guest_.at(load(*leaf) & kFrame) + gva % kPage;
}

void Process::write(uint64_t gva, std::span<const std::byte> data)
{
	while (!data.empty()) {
		const size_t part = std::min<size_t>(data.size(), kPage - gva % kPage);

		std::memcpy(access(gva, true), data.data(), part);
		data = data.subspan(part);
		gva += part;
	}
}

void Process::read(uint64_t gva, std::span<std::byte> data)
{
	while (!data.empty()) {
		const size_t part = std::min<size_t>(data.size(), kPage - gva % kPage);

		std::memcpy(data.data(), access(gva, false), part);
		data = data.subspan(part);
		gva += part;
	}
}

Process::Usage Process::usage(uint64_t gva, uint64_t bytes) const
{
	std::lock_guard lock(mutex_);
	Usage usage;

	for (uint64_t at = gva; at < gva + bytes; at += kPage) {
		const uint64_t *leaf = entry(at, false);
		const uint64_t word = leaf ? load(*leaf) : 0;

		if (!(word & kPresent))
			continue;
		usage.present++;
		usage.accessed += (word & kAccessed) != 0;
		usage.dirty += (word & kDirty) != 0;
	}
	return usage;
}

} // namespace toy
