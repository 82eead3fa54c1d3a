/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest for the IOMMU: memory that a nesting parent maps from guest physical address 0 on, and
 * first-stage tables that the guest writes into it.
 */
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bits.h"
#include "kernel_side.h"

namespace wd::kerneltest
{

/** As struct iommu_hwpt_vtd_s1. */
struct VtdS1 {
	uint64_t flags = 0, table = 0;
	uint32_t width = 48, reserved = 0;
};

class Guest
{
public:
	static constexpr uint64_t kPage = kPageSize;
	static constexpr unsigned kOrder = 7;
	static constexpr uint64_t kPages = 1u << kOrder;

	/** Entry bits: present, writable, user. */
	static constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4;
	static constexpr uint64_t kAll = kPresent | kWritable | kUser;

	/** @flags: IOMMU_HWPT_ALLOC_* of the parent, beside NEST_PARENT. */
	explicit Guest(::device *dev, uint32_t flags = 0);
	~Guest();
	Guest(const Guest &) = delete;
	Guest &operator=(const Guest &) = delete;

	iommu_domain *parent() const { return parent_; }
	uint64_t hostAddress(uint64_t gpa) const { return memory_.physical + gpa; }
	uint64_t &at(uint64_t gpa);

	/** A zeroed page of guest memory. */
	uint64_t page();
	/** The entry that translates @va at @level of the table at @root. Makes missing tables. */
	uint64_t &entry(uint64_t root, uint64_t va, unsigned level = 1, unsigned top = 4);
	void map(uint64_t root, uint64_t va, uint64_t gpa, uint64_t rights = kAll, unsigned top = 4)
	{
		entry(root, va, 1, top) = gpa | rights;
	}
	/** Map a new page with @value in it at @va of @root. @return its guest physical address. */
	uint64_t put(uint64_t root, uint64_t va, uint64_t value);

	/** A user-managed table at @root. */
	TableResult table(::device *dev, uint64_t root, uint64_t flags = 0, uint32_t width = 48);

private:
	iommu_domain *parent_ = nullptr;
	Pages memory_;
	uint64_t next_ = 0;
};

} // namespace wd::kerneltest
