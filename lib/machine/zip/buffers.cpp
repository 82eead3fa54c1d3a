// SPDX-License-Identifier: Apache-2.0
#include "zip/buffers.h"

#include <algorithm>
#include <cstring>

namespace wd::machine::zip
{

namespace
{

/* ZIP-SGL-1, ZIP-SGL-3 */
constexpr unsigned kMaxLists = 256, kMaxEntries = 255;
constexpr uint64_t kListAlignment = 64;
constexpr size_t kHeaderSize = 64, kEntrySize = 32;
constexpr size_t kNextOffset = 0, kCountOffset = 10, kAddressOffset = 0, kLengthOffset = 16;

template <typename T>
T field(const std::byte *p)
{
	T value;

	std::memcpy(&value, p, sizeof(value));
	return value;
}

bool wraps(uint64_t address, uint64_t length)
{
	return length && address + (length - 1) < address;
}

} // namespace

Status BufferList::setFlat(uint64_t address, uint32_t length)
{
	segments_.clear();
	length_ = 0;
	if (wraps(address, length))
		return kStatusBusError;
	segments_.push_back({address, length});
	length_ = length;
	return kStatusOk;
}

Status BufferList::append(uint64_t address, uint32_t length, uint32_t &skip, uint32_t want)
{
	if (length > maxEntry_)
		return kStatusMalformed;
	if (wraps(address, length))
		return kStatusBusError;
	const uint32_t skipped = std::min(skip, length);
	const uint32_t used = std::min(length - skipped, want - length_);

	skip -= skipped;
	if (used) {
		segments_.push_back({address + skipped, used});
		length_ += used;
	}
	return kStatusOk;
}

Status BufferList::readSgl(const DataPort &port, uint64_t address, uint32_t skip, uint32_t want)
{
	std::array<std::byte, kHeaderSize> header;

	segments_.clear();
	length_ = 0;
	for (unsigned lists = 0; length_ < want && address; lists++) {
		if (lists == kMaxLists || address % kListAlignment)
			return kStatusMalformed;
		Status status = port.prepare(address, header.size(), Access::Read);

		if (status == kStatusOk)
			status = port.read(address, header);
		if (status != kStatusOk)
			return status;
		const unsigned count = field<uint16_t>(&header[kCountOffset]);

		if (count > kMaxEntries)
			return kStatusMalformed;
		const auto entries = std::span(entries_).first(count * kEntrySize);

		if (count) {
			status = port.prepare(address + kHeaderSize, entries.size(), Access::Read);
			if (status == kStatusOk)
				status = port.read(address + kHeaderSize, entries);
			if (status != kStatusOk)
				return status;
		}
		for (unsigned i = 0; i < count && length_ < want; i++) {
			const std::byte *entry = &entries[i * kEntrySize];

			status = append(field<uint64_t>(entry + kAddressOffset),
					field<uint32_t>(entry + kLengthOffset), skip, want);

			if (status != kStatusOk)
				return status;
		}
		address = field<uint64_t>(&header[kNextOffset]);
	}
	return kStatusOk;
}

Status BufferList::prepare(const DataPort &port, Access access) const
{
	for (const Segment &segment : segments_) {
		const Status status = port.prepare(segment.address, segment.length, access);

		if (status != kStatusOk)
			return status;
	}
	return kStatusOk;
}

Status BufferList::gather(const DataPort &port, std::span<std::byte> to) const
{
	for (const Segment &segment : segments_) {
		const size_t length = std::min<size_t>(segment.length, to.size());
		const Status status =
			length ? port.read(segment.address, to.first(length)) : kStatusOk;

		if (status != kStatusOk)
			return status;
		to = to.subspan(length);
	}
	return kStatusOk;
}

Status BufferList::scatter(const DataPort &port, std::span<const std::byte> from) const
{
	for (const Segment &segment : segments_) {
		const size_t length = std::min<size_t>(segment.length, from.size());
		const Status status =
			length ? port.write(segment.address, from.first(length)) : kStatusOk;

		if (status != kStatusOk)
			return status;
		from = from.subspan(length);
	}
	return kStatusOk;
}

} // namespace wd::machine::zip
