/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of a guest: pieces of this process's memory at guest physical addresses (GPA). An I/O
 * address space has the same pieces, so the IOMMU's parent table translates guest physical
 * addresses.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <shared_mutex>
#include <span>

#include "wd/iommufd.h"

namespace wd::vmm
{

/**
 * Thread-safe, but a caller that uses a pointer from at() must prevent that this memory is removed.
 * The Iommufd must outlive it, and it must outlive page tables made on its Ioas.
 */
class GuestMemory
{
public:
	/** @throws Error */
	explicit GuestMemory(Iommufd &iommufd);
	GuestMemory(const GuestMemory &) = delete;
	GuestMemory &operator=(const GuestMemory &) = delete;

	/**
	 * Put @memory at @gpa. It is pinned until remove().
	 * @param gpa a multiple of 4096, as are the address and the size of @memory
	 * @throws Error: EEXIST something is there; EINVAL not page aligned, or beyond the IOMMU's
	 *	width; ENOMEM over RLIMIT_MEMLOCK
	 */
	void add(uint64_t gpa, std::span<std::byte> memory,
		 DmaAccess access = DmaAccess::ReadWrite);
	/** Remove the piece that was added at @gpa. @throws Error (ENOENT) */
	void remove(uint64_t gpa);

	/** Where [@gpa, +@length) is in this process; nullptr if it does not lie in one piece. */
	std::byte *at(uint64_t gpa, size_t length) const noexcept;
	/** Load or store one aligned word atomically. @return false if there is no memory. */
	bool load(uint64_t gpa, uint64_t &value) const noexcept;
	bool store(uint64_t gpa, uint64_t value) const noexcept;

	Iommufd &iommufd() const noexcept { return iommufd_; }
	const Ioas &ioas() const noexcept { return ioas_; }

private:
	std::byte *find(uint64_t gpa, size_t length) const noexcept;

	Iommufd &iommufd_;
	Ioas ioas_;
	mutable std::shared_mutex mutex_;
	std::map<uint64_t, std::span<std::byte>> pieces_;
};

} // namespace wd::vmm
