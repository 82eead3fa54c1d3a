// SPDX-License-Identifier: Apache-2.0
/* The driver charges a user for the pages that it needs because of the user. */
#include "base/bits.h"
#include "fixture.h"

#include "hostkernel/charge.h"

namespace wd::kerneltest
{
namespace
{

constexpr uint64_t k4K = kPageSize;
/* The first PASID of a table that no other test uses. */
constexpr uint32_t kPasid = 5 * 64;

class Charged : public IommuTest
{
protected:
	template <class Step>
	static uint64_t chargeOf(Step step)
	{
		const uint64_t before = hostkernel::chargedBytes();

		step();
		return hostkernel::chargedBytes() - before;
	}
};

TEST_F(Charged, TablesOfPasids)
{
	iommu_domain *domain = domainAlloc(firstDev_).domain;

	ASSERT_TRUE(domain);
	for (int round = 0; round < 2; round++) {
		const uint64_t first =
			chargeOf([&] { EXPECT_EQ(attachPasid(domain, firstDev_, kPasid), 0); });
		const uint64_t second =
			chargeOf([&] { EXPECT_EQ(attachPasid(domain, firstDev_, kPasid + 1), 0); });

		EXPECT_GE(first, k4K) << "the table";
		EXPECT_GT(second, 0u) << "records";
		EXPECT_LT(second, k4K) << "nothing is as large as a table";
		detachPasid(domain, firstDev_, kPasid);
		detachPasid(domain, firstDev_, kPasid + 1);
	}
	domainFree(domain);
}

TEST_F(Charged, PageTables)
{
	iommu_domain *domain = nullptr;

	EXPECT_GE(chargeOf([&] { domain = domainAlloc(firstDev_).domain; }), k4K)
		<< "the top-level table";
	ASSERT_TRUE(domain);
	domainFree(domain);
}

} // namespace
} // namespace wd::kerneltest
