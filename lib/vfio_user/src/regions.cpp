// SPDX-License-Identifier: Apache-2.0
#include "regions.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace wd::vfio_user
{

namespace
{

/* The longest naturally aligned access at @offset that does not go beyond @left bytes. */
unsigned pieceAt(uint64_t offset, size_t left, unsigned longest)
{
	unsigned size = longest;

	while (size > left || offset % size)
		size /= 2;
	return size;
}

} // namespace

uint64_t Regions::size(uint32_t index) const
{
	if (index < machine::kBarCount)
		return function_.bar(index).size;
	return index == kRegionConfig ? machine::kConfigSize : 0;
}

machine::SharedPages Regions::mappable(uint32_t index) const
{
	const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));

	if (index >= machine::kBarCount || size(index) < page)
		return {};
	if (const auto all = function_.barShared(index, 0, size(index)))
		return *all;
	/* BAR sizes are powers of two, the pages behind may be fewer: the longest beginning. */
	uint64_t yes = 0, no = size(index) / page;

	while (no - yes > 1) {
		const uint64_t middle = yes + (no - yes) / 2;

		(function_.barShared(index, 0, middle * page) ? yes : no) = middle;
	}
	const auto some = yes ? function_.barShared(index, 0, yes * page) : std::nullopt;

	return some.value_or(machine::SharedPages{});
}

bool Regions::covers(uint32_t index, uint64_t offset, uint64_t count) const
{
	const uint64_t all = size(index);

	return offset <= all && count <= all - offset;
}

int Regions::read(uint32_t index, uint64_t offset, std::span<std::byte> out)
{
	if (!covers(index, offset, out.size()))
		return EINVAL;
	while (!out.empty()) {
		const unsigned step = pieceAt(offset, out.size(), index == kRegionConfig ? 4 : 8);
		const uint64_t value =
			index == kRegionConfig
				? function_.configRead(static_cast<unsigned>(offset), step)
				: function_.barRead(index, offset, step);

		std::memcpy(out.data(), &value, step);
		out = out.subspan(step);
		offset += step;
	}
	return 0;
}

int Regions::write(uint32_t index, uint64_t offset, std::span<const std::byte> in)
{
	if (!covers(index, offset, in.size()))
		return EINVAL;
	while (!in.empty()) {
		const unsigned step = pieceAt(offset, in.size(), index == kRegionConfig ? 4 : 8);
		uint64_t value = 0;

		std::memcpy(&value, in.data(), step);
		if (index == kRegionConfig)
			function_.configWrite(static_cast<unsigned>(offset),
					      static_cast<uint32_t>(value), step);
		else
			function_.barWrite(index, offset, value, step);
		in = in.subspan(step);
		offset += step;
	}
	return 0;
}

} // namespace wd::vfio_user
