/* SPDX-License-Identifier: Apache-2.0 */
/* The mappings of one client. Each client announces memory for itself. */
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "vfio_user/guest_memory.h"
#include "vfio_user/protocol.h"

namespace wd::vfio_user
{

/** Thread-bound. The destructor gives every claim up. */
class DmaTable
{
public:
	/** Identifies a file: st_dev and st_ino. */
	using File = std::pair<uint64_t, uint64_t>;

	/** A range that is memory, as the client announced it. */
	struct Memory {
		uint64_t address, size;
		File file;
	};

	explicit DmaTable(GuestMemory &memory) : memory_(memory) {}
	~DmaTable() { clear(); }
	DmaTable(const DmaTable &) = delete;
	DmaTable &operator=(const DmaTable &) = delete;

	/**
	 * A range without a descriptor (ROM, a BAR) is kept in the table but has no memory.
	 * @return 0 or an errno.
	 * @throws std::system_error if GuestMemory::claim() refuses it.
	 */
	int map(const DmaMap &request, const std::vector<UniqueFd> &fds);

	/**
	 * Remove the ranges that make up the request. EINVAL if a range lies only partly in the
	 * request, ENOENT if a part of the request is not mapped; then nothing is removed.
	 */
	int unmap(const DmaUnmap &request);

	void clear() noexcept;
	size_t size() const { return ranges_.size(); }
	std::vector<Memory> memory() const;

private:
	struct Range {
		uint64_t last; /**< inclusive */
		GuestMemory::Claim claim;
		File file;
	};

	using Ranges = std::map<uint64_t, Range>;

	static bool covers(Ranges::const_iterator begin, Ranges::const_iterator end, uint64_t first,
			   uint64_t last);

	GuestMemory &memory_;
	Ranges ranges_; /**< by first address; they do not overlap */
};

} // namespace wd::vfio_user
