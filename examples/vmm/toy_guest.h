/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest without processors: memory, an allocator of page frames, and processes with real x86-64
 * page tables in that memory, which the IOMMU walks. It does the memory management of a guest's
 * kernel, and knows nothing of the host.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <vector>

#include "vmm/guest_memory.h"

namespace toy
{

constexpr uint64_t kPage = 4096;

/** Page frames of a guest. Thread-safe. */
class Guest
{
public:
	/** @bytes of memory at @gpa, given to @memory for the life of the object. */
	Guest(wd::vmm::GuestMemory &memory, uint64_t gpa, uint64_t bytes);
	~Guest();
	Guest(const Guest &) = delete;
	Guest &operator=(const Guest &) = delete;

	/** A zeroed frame's guest physical address. @throws std::bad_alloc */
	uint64_t allocate();
	/** @frames that follow each other. @throws std::bad_alloc */
	uint64_t allocateRun(size_t frames);
	void release(uint64_t frame);
	size_t freeFrames() const;

	std::byte *at(uint64_t gpa, size_t length = kPage) const;
	/** A table's or a page's word, as the hardware may change it at any time. */
	uint64_t &word(uint64_t gpa) const;

private:
	wd::vmm::GuestMemory &memory_;
	uint64_t gpa_;
	std::span<std::byte> ram_;
	mutable std::mutex mutex_;
	std::vector<uint64_t> free_;
};

/**
 * An address space of the guest: four levels of tables, and regions whose pages come when they are
 * first touched, by a processor or by a device. Thread-safe.
 */
class Process
{
public:
	explicit Process(Guest &guest);
	/** No device may use the tables any more. */
	~Process();
	Process(const Process &) = delete;
	Process &operator=(const Process &) = delete;

	/** For the PASID table entry. */
	uint64_t root() const { return root_; }

	/** [@gva, +@bytes) may be used from now on; nothing is there yet. */
	void reserve(uint64_t gva, uint64_t bytes, bool writable = true);
	/** Resolve a page fault. @return false: the access is not permitted. */
	bool touch(uint64_t gva, bool write);
	/**
	 * Take pages away: entries first. @return the frames, to be released when the IOMMU has
	 * forgotten them.
	 */
	std::vector<uint64_t> unmap(uint64_t gva, uint64_t bytes);
	/** Take the right to write away from pages that are there (mprotect). Flush afterwards. */
	void protect(uint64_t gva, uint64_t bytes);

	/** Loads and stores of the process's processors. @throws std::out_of_range if refused */
	void write(uint64_t gva, std::span<const std::byte> data);
	void read(uint64_t gva, std::span<std::byte> data);
	/** Pages that are there, and have the accessed or dirty bit. */
	struct Usage {
		size_t present = 0, accessed = 0, dirty = 0;
	};
	Usage usage(uint64_t gva, uint64_t bytes) const;

private:
	struct Region {
		uint64_t bytes;
		bool writable;
	};

	uint64_t *entry(uint64_t gva, bool create) const;
	std::byte *access(uint64_t gva, bool write);
	void destroy(uint64_t table, unsigned level);

	Guest &guest_;
	uint64_t root_;
	mutable std::mutex mutex_;
	std::map<uint64_t, Region> regions_;
};

} // namespace toy
