/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flat buffers and hardware scatter-gather lists. Software may write anything into a list, so every
 * field is checked (ZIP-SGL-3).
 */
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

/** How an engine reaches the memory of one request. */
class DataPort
{
public:
	explicit DataPort(Task &task) : task_(task) {}

	/**
	 * Request missing pages before the engine accesses them. Call it outside a burst.
	 * @return kStatusOk, kStatusParked or kStatusBusError.
	 */
	Status prepare(uint64_t address, uint64_t length, Access access) const
	{
		if (!task_.prepares)
			return kStatusOk;
		switch (task_.agent.prepare(task_.stream, address, length, access, task_.pages,
					    task_.token)) {
		case DmaResult::Ok:
			return kStatusOk;
		case DmaResult::Pending:
			return kStatusParked;
		default:
			return kStatusBusError;
		}
	}
	Status read(uint64_t address, std::span<std::byte> to) const
	{
		return judge(task_.agent.read(task_.stream, address, to));
	}
	Status write(uint64_t address, std::span<const std::byte> from) const
	{
		return judge(task_.agent.write(task_.stream, address, from));
	}
	DmaAgent &agent() const { return task_.agent; }

private:
	/*
	 * After prepare(), a refused access means that a page has gone meanwhile. It may come back.
	 */
	Status judge(DmaResult result) const
	{
		if (result == DmaResult::Ok)
			return kStatusOk;
		return result == DmaResult::Blocked && task_.prepares ? kStatusVanished
								      : kStatusBusError;
	}

	Task &task_;
};

struct Segment {
	uint64_t address;
	uint32_t length;
};

/**
 * The pieces of memory that a request's buffer consists of. The engine uses one object for many
 * requests.
 */
class BufferList
{
public:
	/** @maxEntry: bytes that an entry of a list has at most. */
	explicit BufferList(uint32_t maxEntry = kMaxBuffer) : maxEntry_(maxEntry) {}

	/** One piece. */
	Status setFlat(uint64_t address, uint32_t length);

	/**
	 * Take up to @want bytes after the first @skip bytes of the list at @address. This follows
	 * at most 256 lists of 255 entries, so that it ends even if the lists form a loop.
	 */
	Status readSgl(const DataPort &port, uint64_t address, uint32_t skip, uint32_t want);

	/** Bytes in all pieces. */
	uint32_t length() const { return length_; }

	/** Call DataPort::prepare() for all pieces, up to the first that has to wait. */
	Status prepare(const DataPort &port, Access access) const;
	Status gather(const DataPort &port, std::span<std::byte> to) const;
	Status scatter(const DataPort &port, std::span<const std::byte> from) const;

private:
	Status append(uint64_t address, uint32_t length, uint32_t &skip, uint32_t want);

	const uint32_t maxEntry_;
	std::vector<Segment> segments_;
	uint32_t length_ = 0;
	std::array<std::byte, 255 * 32> entries_;
};

} // namespace wd::machine::zip
