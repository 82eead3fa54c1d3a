/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The object of the C API's struct wd_as: one /dev/iommu address space in which device addresses
 * are process addresses, with a page table per device, and counted shared ranges.
 */
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "wd/any_host.h"
#include "wd/iommufd.h"

namespace wd::capi
{

/** Thread-safe. */
class AddressSpace
{
public:
	/** @throws Error */
	explicit AddressSpace(std::shared_ptr<Host> host);

	Host &host() noexcept { return *host_; }
	const Iommufd &iommufd() const noexcept { return iommufd_; }
	/** The page table for @device. It is made at the first call and lives as long as this. */
	const Hwpt &pageTable(const std::string &device, uint32_t deviceId);

	/**
	 * As wd_mem_share(): 0, or -errno and a text for wd_last_error(). @throws kernel's Error
	 */
	int share(const void *address, size_t size, int flags);
	int unshare(const void *address, size_t size);
	/** As QueueContext::unreachable(). */
	std::optional<uintptr_t> unreachable(const void *address, size_t size, int right);

private:
	/** One shared range of pages. Its begin is the key of the map. */
	struct Range {
		uintptr_t end = 0;
		int flags = 0;
		uint64_t count = 0;
	};
	using Ranges = std::map<uintptr_t, Range>;

	/** The range that holds [@begin, @end) as a whole; end() if there is none. */
	Ranges::iterator holder(uintptr_t begin, uintptr_t end);
	bool touches(uintptr_t begin, uintptr_t end);

	ProcessMark mark_;
	std::shared_ptr<Host> host_;
	Iommufd iommufd_;
	Ioas ioas_;
	std::mutex mutex_; /**< guards the members below */
	std::map<std::string, Hwpt> tables_;
	Ranges ranges_;
};

} // namespace wd::capi

struct wd_as {
	std::shared_ptr<wd::capi::AddressSpace> space;
};
