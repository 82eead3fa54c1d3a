/* SPDX-License-Identifier: Apache-2.0 */
/* The regions of a function: BARs and configuration space (VFIOUSER-INFO-2). */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vfio_user/protocol.h"

namespace wd::machine
{
class PciFunction;
}

namespace wd::vfio_user
{

/** Thread-safe, as PciFunction is. */
class Regions
{
public:
	/** Finds out which part of each BAR is shared memory. That never changes. */
	explicit Regions(machine::PciFunction &function);

	struct Info {
		std::vector<std::byte> body; /**< RegionInfo, and capabilities if they fit */
		int fd = -1;		     /**< to send with the body; the function owns it */
	};

	/** @return 0 or EINVAL. @room is the size of the client's buffer. */
	int info(uint32_t index, uint32_t room, Info &info) const;

	/** @return 0 or EINVAL. A region without content has size 0: every access is invalid. */
	int read(const RegionAccess &access, std::span<std::byte> data);
	int write(const RegionAccess &access, std::span<const std::byte> data);

private:
	struct Region {
		uint64_t size = 0;
		/* Bytes [0, shared) of the region are in fd, from offset on. */
		uint64_t shared = 0, offset = 0;
		int fd = -1;
	};

	bool covers(const RegionAccess &access, size_t length) const;
	uint64_t readPiece(uint32_t region, uint64_t offset, unsigned size);
	void findShared(uint32_t bar);

	machine::PciFunction &function_;
	std::array<Region, kRegionCount> regions_{};
};

} // namespace wd::vfio_user
