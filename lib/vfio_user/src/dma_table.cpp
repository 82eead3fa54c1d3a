// SPDX-License-Identifier: Apache-2.0
#include "dma_table.h"

#include <cerrno>
#include <sys/stat.h>

namespace wd::vfio_user
{

static DmaTable::File fileOf(int fd)
{
	struct stat status = {};

	fstat(fd, &status);
	return {status.st_dev, status.st_ino};
}

/* VFIOUSER-DMA-1 to VFIOUSER-DMA-3, VFIOUSER-DMA-5 */
int DmaTable::map(const DmaMap &request, const std::vector<UniqueFd> &fds)
{
	const uint64_t last = request.address + (request.size - 1);

	if (request.argsz < sizeof(request) || !request.size || last < request.address ||
	    fds.size() > 1)
		return EINVAL;
	if (request.flags & ~(kDmaReadable | kDmaWritable | kDmaMmap | kDmaFileIo))
		return EINVAL;
	if (fds.empty() && (request.flags & (kDmaMmap | kDmaFileIo)))
		return EINVAL;
	const auto after = ranges_.upper_bound(last);

	if (after != ranges_.begin() && std::prev(after)->second.last >= request.address)
		return EEXIST;
	if (ranges_.size() >= kMaxDmaMaps)
		return ENOSPC;
	const bool writable = request.flags & kDmaWritable;

	/* The model has no write-only memory. */
	if (!fds.empty() && !(request.flags & kDmaReadable))
		return EINVAL;
	const auto place = ranges_.emplace_hint(after, request.address, Range{last, 0, {}});

	try {
		if (!fds.empty()) {
			place->second.file = fileOf(fds[0].get());
			place->second.claim = memory_.claim(
				{request.address, request.size, request.offset, writable},
				fds[0].get());
		}
	} catch (...) {
		ranges_.erase(place);
		throw;
	}
	return 0;
}

/** True if the ranges [@begin, @end) cover exactly @first to @last, without a hole. */
bool DmaTable::covers(Ranges::const_iterator begin, Ranges::const_iterator end, uint64_t first,
		      uint64_t last)
{
	uint64_t next = first;

	for (auto at = begin; at != end; ++at) {
		if (at->first != next)
			return false;
		if (at->second.last == last)
			return true;
		next = at->second.last + 1;
	}
	return false;
}

/* VFIOUSER-DMA-6, VFIOUSER-DMA-7 */
int DmaTable::unmap(const DmaUnmap &request)
{
	const bool all = request.flags & kUnmapAll;

	if (request.argsz < sizeof(request) || (request.flags & ~kUnmapAll) ||
	    (all && (request.address || request.size)) || (!all && !request.size))
		return EINVAL;
	const uint64_t first = request.address;
	const uint64_t last = all ? UINT64_MAX : first + (request.size - 1);

	if (last < first)
		return EINVAL;
	auto begin = ranges_.lower_bound(first);
	const auto end = ranges_.upper_bound(last);

	if (begin != ranges_.begin() && std::prev(begin)->second.last >= first)
		return EINVAL;
	if (end != ranges_.begin() && std::prev(end)->second.last > last)
		return EINVAL;
	if (!all && !covers(begin, end, first, last))
		return ENOENT;
	std::vector<GuestMemory::Claim> claims;

	for (auto at = begin; at != end; ++at)
		if (at->second.claim)
			claims.push_back(at->second.claim);
	ranges_.erase(begin, end);
	/*
	 * The reply promises that no function uses the memory any more. release() waits until that
	 * is true.
	 */
	memory_.release(claims);
	return 0;
}

void DmaTable::clear() noexcept
{
	std::vector<GuestMemory::Claim> claims;

	for (const auto &[first, range] : ranges_)
		if (range.claim)
			claims.push_back(range.claim);
	ranges_.clear();
	memory_.release(claims);
}

std::vector<DmaTable::Memory> DmaTable::memory() const
{
	std::vector<Memory> memory;

	for (const auto &[first, range] : ranges_)
		if (range.claim)
			memory.push_back({first, range.last - first + 1, range.file});
	return memory;
}

} // namespace wd::vfio_user
