/* SPDX-License-Identifier: Apache-2.0 */
/* Building blocks of register blocks: storage with byte enables, and an error reporting unit. */
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace wd::machine
{

/** Mask with 0xff in byte n if bit n of @bytes is set. */
constexpr uint32_t byteMask(unsigned bytes)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < 4; i++)
		mask |= bytes & (1u << i) ? 0xffu << (8 * i) : 0;
	return mask;
}

/** Plain read-write registers at [base, base + size); everything else reads as zero. */
class RegisterStorage
{
public:
	RegisterStorage(uint64_t base, uint64_t size) : base_(base), words_(size / 4) {}

	bool contains(uint64_t offset) const
	{
		return offset >= base_ && (offset - base_) / 4 < words_.size();
	}
	uint32_t read(uint64_t offset) const { return words_[(offset - base_) / 4]; }
	void set(uint64_t offset, uint32_t value) { words_[(offset - base_) / 4] = value; }
	void write(uint64_t offset, uint32_t value, unsigned bytes)
	{
		auto &word = words_[(offset - base_) / 4];
		const uint32_t mask = byteMask(bytes);
		uint32_t old = word;

		while (!word.compare_exchange_weak(old, (old & ~mask) | (value & mask)))
			;
	}
	void clear()
	{
		for (auto &word : words_)
			word = 0;
	}

private:
	uint64_t base_;
	std::vector<std::atomic<uint32_t>> words_;
};

/**
 * The three error registers that both the QM and the engine have (QM-REG-4): source (write 1 to
 * clear), mask, and status, which is the source without masked bits. Functions that change them
 * return whether an interrupt is due now.
 */
class ErrorUnit
{
public:
	uint32_t source() const { return source_; }
	uint32_t mask() const { return mask_; }
	uint32_t status() const { return source_ & ~mask_; }

	bool report(uint32_t bits)
	{
		const uint32_t old = source_.fetch_or(bits);

		return bits & ~old & ~mask_;
	}
	void clear(uint32_t bits) { source_ &= ~bits; }
	bool setMask(uint32_t mask)
	{
		const uint32_t old = mask_.exchange(mask);

		return source_ & old & ~mask;
	}
	void reset(uint32_t mask)
	{
		source_ = 0;
		mask_ = mask;
	}

private:
	std::atomic<uint32_t> source_{0}, mask_{0};
};

} // namespace wd::machine
