// SPDX-License-Identifier: Apache-2.0
#include "regions.h"
#include "machine/pci_function.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace wd::vfio_user
{

namespace
{

static_assert(std::endian::native == std::endian::little);

/*
 * VFIOUSER-REGION-2: the largest naturally aligned access at @offset that is not longer than @left.
 */
unsigned pieceAt(uint64_t offset, size_t left, unsigned largest)
{
	unsigned size = largest;

	while (size > 1 && (offset % size || size > left))
		size /= 2;
	return size;
}

template <typename T>
void append(std::vector<std::byte> &body, const T &value)
{
	const auto *bytes = reinterpret_cast<const std::byte *>(&value);

	body.insert(body.end(), bytes, bytes + sizeof(T));
}

} // namespace

Regions::Regions(machine::PciFunction &function) : function_(function)
{
	regions_[kRegionConfig].size = machine::kConfigSize;
	regions_[kRegionRom].size = function.romSize();
	for (uint32_t bar = 0; bar < machine::kBarCount; bar++) {
		regions_[bar].size = function.bar(bar).size;
		findShared(bar);
	}
}

/* Find the longest beginning of the BAR that is shared memory, by bisection. */
void Regions::findShared(uint32_t bar)
{
	const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
	Region &region = regions_[bar];

	if (region.size < page)
		return;
	for (uint64_t step = std::bit_floor(region.size); step >= page; step /= 2) {
		if (step > region.size - region.shared)
			continue;
		const auto pages = function_.barShared(bar, region.shared, step);

		if (!pages || pages->length != step)
			continue;
		if (!region.shared) {
			region.fd = pages->fd;
			region.offset = pages->offset;
		} else if (pages->fd != region.fd ||
			   pages->offset != region.offset + region.shared) {
			continue;
		}
		region.shared += step;
	}
}

/* VFIOUSER-INFO-2 to VFIOUSER-INFO-4 */
int Regions::info(uint32_t index, uint32_t room, Info &info) const
{
	if (index >= kRegionCount)
		return EINVAL;
	const Region &region = regions_[index];
	RegionInfo reply;

	reply.argsz = sizeof(reply);
	reply.index = index;
	reply.size = region.size;
	if (region.size)
		reply.flags = index == kRegionRom ? kRegionRead : kRegionRead | kRegionWrite;
	const bool sparse = region.shared && region.shared != region.size;

	if (sparse)
		reply.argsz += sizeof(SparseMmap) + sizeof(SparseArea);
	/* If the client's buffer is too small, leave out the capabilities and the descriptor. */
	const bool whole = room >= reply.argsz;

	if (region.shared)
		reply.flags |= kRegionMmap;
	if (region.shared && whole) {
		info.fd = region.fd;
		reply.offset = region.offset;
	}
	if (sparse && whole) {
		SparseMmap capability;

		reply.flags |= kRegionCapabilities;
		reply.capabilityOffset = sizeof(reply);
		capability.areas = 1;
		append(info.body, reply);
		append(info.body, capability);
		append(info.body, SparseArea{0, region.shared});
	} else {
		append(info.body, reply);
	}
	return 0;
}

/* VFIOUSER-REGION-1 */
bool Regions::covers(const RegionAccess &access, size_t length) const
{
	if (access.region >= kRegionCount || !access.count || access.count != length)
		return false;
	const uint64_t size = regions_[access.region].size;

	return access.offset < size && access.count <= size - access.offset;
}

uint64_t Regions::readPiece(uint32_t region, uint64_t offset, unsigned size)
{
	switch (region) {
	case kRegionConfig:
		return function_.configRead(static_cast<unsigned>(offset), size);
	case kRegionRom:
		return function_.romRead(offset, size);
	default:
		return function_.barRead(region, offset, size);
	}
}

/* VFIOUSER-REGION-3, VFIOUSER-REGION-4 */
int Regions::read(const RegionAccess &access, std::span<std::byte> data)
{
	if (!covers(access, data.size()))
		return EINVAL;
	uint64_t offset = access.offset;

	while (!data.empty()) {
		const bool config = access.region == kRegionConfig;
		const unsigned size = pieceAt(offset, data.size(), config ? 4 : 8);
		const uint64_t value = readPiece(access.region, offset, size);

		std::memcpy(data.data(), &value, size);
		data = data.subspan(size);
		offset += size;
	}
	return 0;
}

int Regions::write(const RegionAccess &access, std::span<const std::byte> data)
{
	if (!covers(access, data.size()) || access.region == kRegionRom)
		return EINVAL;
	uint64_t offset = access.offset;

	while (!data.empty()) {
		const bool config = access.region == kRegionConfig;
		const unsigned size = pieceAt(offset, data.size(), config ? 4 : 8);
		uint64_t value = 0;

		std::memcpy(&value, data.data(), size);
		if (config)
			function_.configWrite(static_cast<unsigned>(offset),
					      static_cast<uint32_t>(value), size);
		else
			function_.barWrite(access.region, offset, value, size);
		data = data.subspan(size);
		offset += size;
	}
	return 0;
}

} // namespace wd::vfio_user
