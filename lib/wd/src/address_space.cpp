// SPDX-License-Identifier: Apache-2.0
#include "address_space.h"

#include <cerrno>
#include <optional>

#include "dma_memory.h"
#include "host_handle.h"
#include "last_error.h"
#include "wd/wd.h"

namespace wd::capi
{

namespace
{

int refuseOtherProcess()
{
	return refuse(ESTALE, "address space: it belongs to the process that forked this one; open "
			      "one here");
}

struct Pages {
	uintptr_t begin, end;
};

/** The whole pages that hold the memory; none if it is empty, or its end wraps around. */
std::optional<Pages> pagesOf(const void *address, size_t size)
{
	const auto begin = reinterpret_cast<uintptr_t>(address);
	const uintptr_t mask = pageSize() - 1;
	if (size == 0 || begin > UINTPTR_MAX - mask || size > UINTPTR_MAX - mask - begin)
		return std::nullopt;
	return Pages{begin & ~mask, (begin + size + mask) & ~mask};
}

DmaAccess accessOf(int flags)
{
	if (flags == WD_MEM_READ)
		return DmaAccess::Read;
	return flags == WD_MEM_WRITE ? DmaAccess::Write : DmaAccess::ReadWrite;
}

} // namespace

AddressSpace::AddressSpace(std::shared_ptr<Host> host) : host_(std::move(host)), iommufd_(*host_)
{
	ioas_ = iommufd_.allocIoas();
}

const Hwpt &AddressSpace::pageTable(const std::string &device, uint32_t deviceId)
{
	std::lock_guard lock(mutex_);
	Hwpt &table = tables_[device];
	if (!table)
		table = iommufd_.allocHwpt(ioas_, deviceId);
	return table;
}

AddressSpace::Ranges::iterator AddressSpace::holder(uintptr_t begin, uintptr_t end)
{
	auto it = ranges_.upper_bound(begin);
	if (it == ranges_.begin())
		return ranges_.end();
	--it;
	return it->second.end >= end ? it : ranges_.end();
}

bool AddressSpace::touches(uintptr_t begin, uintptr_t end)
{
	const auto it = ranges_.lower_bound(end);
	return it != ranges_.begin() && std::prev(it)->second.end > begin;
}

int AddressSpace::share(const void *address, size_t size, int flags)
{
	if (!mark_.own())
		return refuseOtherProcess();
	const auto pages = pagesOf(address, size);
	if (!pages || (flags & ~(WD_MEM_READ | WD_MEM_WRITE)))
		return refuse(EINVAL, "share memory: 0 bytes, a wrap, or an unknown flag");
	if (!flags)
		flags = WD_MEM_READ | WD_MEM_WRITE;
	std::lock_guard lock(mutex_);
	const auto known = holder(pages->begin, pages->end);
	if (known != ranges_.end()) {
		if (flags & ~known->second.flags)
			return refuse(EACCES, "share memory: it is shared with fewer rights");
		known->second.count++;
		return 0;
	}
	if (touches(pages->begin, pages->end))
		return refuse(EEXIST, "share memory: some of its pages are shared in another "
				      "range; share the whole at once");
	const auto [it, added] = ranges_.try_emplace(pages->begin);
	try {
		ioas_.mapFixed(reinterpret_cast<const void *>(pages->begin),
			       pages->end - pages->begin, pages->begin, accessOf(flags));
	} catch (...) {
		ranges_.erase(it);
		throw;
	}
	it->second = {pages->end, flags, 1};
	return 0;
}

int AddressSpace::unshare(const void *address, size_t size)
{
	if (!mark_.own())
		return refuseOtherProcess();
	const auto pages = pagesOf(address, size);
	if (!pages)
		return refuse(ENOENT, "unshare memory: it is not shared");
	std::lock_guard lock(mutex_);
	const auto it = holder(pages->begin, pages->end);
	if (it == ranges_.end())
		return refuse(ENOENT, "unshare memory: it is not shared");
	if (it->second.count > 1) {
		it->second.count--;
		return 0;
	}
	ioas_.unmap(it->first, it->second.end - it->first);
	ranges_.erase(it);
	return 0;
}

std::optional<uintptr_t> AddressSpace::unreachable(const void *address, size_t size, int right)
{
	auto at = reinterpret_cast<uintptr_t>(address);
	const uintptr_t end = at + size;
	std::lock_guard lock(mutex_);
	while (at < end) {
		const auto it = holder(at, at + 1);
		if (it == ranges_.end() || !(it->second.flags & right))
			return at;
		at = it->second.end;
	}
	return std::nullopt;
}

} // namespace wd::capi

using wd::capi::guarded;
using wd::capi::refuse;

int wd_as_open(struct wd_host *host, struct wd_as **out)
{
	if (!out)
		return refuse(EINVAL, "wd_as_open: no place for the result");
	return guarded([&] {
		auto space = std::make_shared<wd::capi::AddressSpace>(host ? host->host
									   : wd::Host::shared());
		*out = new wd_as{std::move(space)};
		return 0;
	});
}

void wd_as_close(struct wd_as *as)
{
	delete as;
}

int wd_as_share(struct wd_as *as, const void *addr, size_t size, int flags)
{
	return guarded([&] { return as->space->share(addr, size, flags); });
}

int wd_as_unshare(struct wd_as *as, const void *addr, size_t size)
{
	return guarded([&] { return as->space->unshare(addr, size); });
}
