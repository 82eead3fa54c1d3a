/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Physical memory of a machine that exists only in tests and tools: ranges of zeroed pages that
 * take space when they are first written, and nothing in between.
 */
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>
#include <unordered_map>

#include "machine/physical_memory.h"

namespace wd::machine
{

/** Thread-safe. Concurrent copies of the same bytes tear at most between 8-byte words. */
class SparseMemory : public PhysicalMemory
{
public:
	static constexpr uint64_t kPageSize = 4096;

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

	/** Make [@base, +@length) a hole again; its content is lost. Same conditions. */
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
