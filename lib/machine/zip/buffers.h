/* SPDX-License-Identifier: Apache-2.0 */
/* Flat buffers and hardware scatter-gather lists (sheet 9), which are hostile until checked. */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "machine/dma.h"
#include "zip/sqe.h"

namespace wd::machine::zip
{

struct Segment {
	uint64_t address;
	uint32_t length;
};

/** A buffer of a request, as the pieces of memory that it consists of. Reused between requests. */
class BufferList
{
public:
	/** One piece. */
	Status setFlat(uint64_t address, uint32_t length);

	/**
	 * Up to @want bytes after the first @skip bytes of the list at @address. At most 256 lists
	 * of 255 entries are followed, so that a loop ends.
	 */
	Status readSgl(DmaAgent &agent, const StreamId &stream, uint64_t address, uint32_t skip,
		       uint32_t want);

	/** Bytes in all pieces. */
	uint32_t length() const { return length_; }

	Status gather(DmaAgent &agent, const StreamId &stream, std::span<std::byte> to) const;
	Status scatter(DmaAgent &agent, const StreamId &stream,
		       std::span<const std::byte> from) const;

private:
	Status append(uint64_t address, uint32_t length, uint32_t &skip, uint32_t want);

	std::vector<Segment> segments_;
	uint32_t length_ = 0;
	std::array<std::byte, 255 * 32> entries_;
};

} // namespace wd::machine::zip
