/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Physical memory of a machine in tests and tools: ranges of memory with holes between them. Memory
 * reads as zero until it is written, and takes space only from then on.
 */
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>
#include <unordered_map>

#include "base/bits.h"
#include "machine/physical_memory.h"

namespace wd::machine
{

/**
 * Thread-safe. Of two concurrent copies to the same bytes, each aligned 8-byte word comes from one.
 */
class SparseMemory : public PhysicalMemory
{
public:
	static constexpr uint64_t kPageSize = wd::kPageSize;

	SparseMemory();
	/** Same as SparseMemory() followed by addRange(@base, @length). */
	SparseMemory(uint64_t base, uint64_t length);
	~SparseMemory() override;

	/**
	 * Give [@base, +@length) memory that reads as zero; memory that is there already keeps its
	 * content. @base and @length in bytes, multiples of 4096.
	 * @throws std::invalid_argument if they are not, or the range wraps around.
	 */
	void addRange(uint64_t base, uint64_t length);

	/**
	 * Make [@base, +@length) a hole again; its content is lost. Same units and errors as
	 * addRange().
	 */
	void removeRange(uint64_t base, uint64_t length);

	/** Pages that have been written and hold space. */
	size_t residentPages() const;

	bool read(uint64_t pa, void *dst, size_t len) noexcept override;
	bool write(uint64_t pa, const void *src, size_t len) noexcept override;
	bool load(uint64_t pa, unsigned size, uint64_t &value) noexcept override;
	bool store(uint64_t pa, unsigned size, uint64_t value) noexcept override;
	bool compareExchange(uint64_t pa, uint64_t &expected, uint64_t desired,
			     bool &exchanged) noexcept override;

private:
	using Page = std::array<uint64_t, kPageSize / 8>;

	bool covered(uint64_t page) const;
	Page *findPage(uint64_t page) const;
	std::shared_lock<std::shared_mutex> lockForWrite(uint64_t pa, size_t len, bool &ok);

	mutable std::shared_mutex mutex_;
	/** First page number of a range -> one past its last; ranges do not touch or overlap. */
	std::map<uint64_t, uint64_t> ranges_;
	std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
};

} // namespace wd::machine
