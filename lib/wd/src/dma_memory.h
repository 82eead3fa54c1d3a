/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anonymous memory for devices: whole pages, and big blocks aligned so that an IOMMU can map them
 * with big pages.
 */
#pragma once

#include <cstddef>
#include <span>

#include "base/process_mark.h"

namespace wd
{

/** Zeroed memory; the destructor unmaps it. Thread-bound. */
class DmaMemory
{
public:
	DmaMemory() = default;
	/** @throws Error (ENOMEM) */
	explicit DmaMemory(size_t size);
	DmaMemory(DmaMemory &&other) noexcept { *this = static_cast<DmaMemory &&>(other); }
	DmaMemory &operator=(DmaMemory &&other) noexcept;
	~DmaMemory() { reset(); }

	std::byte *data() const noexcept { return data_; }
	size_t size() const noexcept { return size_; } /**< whole pages */
	std::span<std::byte> span() const noexcept { return {data_, size_}; }
	void reset() noexcept;

private:
	std::byte *data_ = nullptr;
	size_t size_ = 0;
	ProcessMark mark_; /**< a child of fork() does not have the pages */
};

/** Size of a page of the host. */
size_t pageSize() noexcept;
size_t roundUp(size_t value, size_t unit) noexcept;

} // namespace wd
