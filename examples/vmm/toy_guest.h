/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest without processors: memory, an allocator of page frames, and processes with real x86-64
 * page tables in that memory, which the IOMMU walks. It manages memory as a guest's kernel does,
 * and uses nothing of the host.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <vector>

#include "base/bits.h"
#include "vmm/guest_memory.h"

namespace toy
{

constexpr uint64_t kPage = wd::kPageSize;

/** Page frames of a guest. Thread-safe. */
class Guest
{
public:
	/** Adds @bytes of memory at @gpa to @memory, until the object is destroyed. */
	Guest(wd::vmm::GuestMemory &memory, uint64_t gpa, uint64_t bytes);
	~Guest();
	Guest(const Guest &) = delete;
	Guest &operator=(const Guest &) = delete;

	/** @return guest physical address of a zeroed frame. @throws std::bad_alloc */
	uint64_t allocate();
	/** @return address of the first of @frames contiguous frames. @throws std::bad_alloc */
	uint64_t allocateRun(size_t frames);
	void release(uint64_t frame);
	size_t freeFrames() const;

	std::byte *at(uint64_t gpa, size_t length = kPage) const;
	/** A word of a table or page. The hardware may change it at any time. */
	uint64_t &word(uint64_t gpa) const;

private:
	wd::vmm::GuestMemory &memory_;
	uint64_t gpa_;
	std::span<std::byte> ram_;
	mutable std::mutex mutex_;
	std::vector<uint64_t> free_;
};

/**
 * An address space of the guest: four levels of tables, and regions. A page of a region is made
 * when a processor or a device first touches it. Thread-safe.
 */
class Process
{
public:
	explicit Process(Guest &guest);
	/** Before this, every device must have stopped to use the tables. */
	~Process(); // NOLINT(bugprone-exception-escape): the guest made the tables
	Process(const Process &) = delete;
	Process &operator=(const Process &) = delete;

	/** Address of the top table, for the PASID table entry. */
	uint64_t root() const { return root_; }

	/** Make [@gva, +@bytes) a region. It has no pages yet. */
	void reserve(uint64_t gva, uint64_t bytes, bool writable = true);
	/** Resolve a page fault. @return false: the access is not permitted. */
	bool touch(uint64_t gva, bool write);
	/**
	 * Remove pages: this clears the entries. @return the frames. The caller releases them after
	 * it has flushed the IOMMU.
	 */
	std::vector<uint64_t> unmap(uint64_t gva, uint64_t bytes);
	/** Make existing pages read-only, as mprotect() does. The caller must flush afterwards. */
	void protect(uint64_t gva, uint64_t bytes);

	/** Load and store as a processor of the process. @throws std::out_of_range if refused */
	void write(uint64_t gva, std::span<const std::byte> data);
	void read(uint64_t gva, std::span<std::byte> data);
	/** Number of pages that are present, and of those with the accessed or dirty bit. */
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
