// SPDX-License-Identifier: Apache-2.0
#include "guest.h"

#include <gtest/gtest.h>

namespace wd::kerneltest
{

namespace
{
constexpr uint32_t kNestParent = 1;
constexpr uint64_t kAddress = 0x000ffffffffff000;
} // namespace

Guest::Guest(::device *dev, uint32_t flags) : memory_(pagesAlloc(kOrder))
{
	const DomainResult made = domainAlloc(dev, kNestParent | flags);

	EXPECT_EQ(made.error, 0);
	parent_ = made.domain;
	/* Map page by page, so that a test can unmap one and keep the others. */
	for (uint64_t gpa = 0; gpa < kPages * kPage; gpa += kPage)
		EXPECT_EQ(kerneltest::map(parent_, gpa, hostAddress(gpa), kPage, kRead | kWrite),
			  0);
}

Guest::~Guest()
{
	domainFree(parent_);
	pagesFree(memory_);
}

uint64_t &Guest::at(uint64_t gpa)
{
	return *reinterpret_cast<uint64_t *>(static_cast<char *>(memory_.cpu) + gpa);
}

uint64_t Guest::page()
{
	EXPECT_LT(next_, kPages);
	return next_++ * kPage;
}

uint64_t &Guest::entry(uint64_t root, uint64_t va, unsigned level, unsigned top)
{
	uint64_t table = root;

	for (unsigned at = top;; at--) {
		uint64_t &slot = this->at(table + (va >> 9 * at & 0xff8));

		if (at == level)
			return slot;
		if (!(slot & kPresent))
			slot = page() | kAll;
		table = slot & kAddress;
	}
}

uint64_t Guest::put(uint64_t root, uint64_t va, uint64_t value)
{
	const uint64_t gpa = page();

	at(gpa) = value;
	map(root, va, gpa);
	return gpa;
}

TableResult Guest::table(::device *dev, uint64_t root, uint64_t flags, uint32_t width)
{
	const VtdS1 data{flags, root, width, 0};

	return tableAlloc(dev, parent_, &data, sizeof(data));
}

} // namespace wd::kerneltest
