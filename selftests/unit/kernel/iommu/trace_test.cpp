// SPDX-License-Identifier: Apache-2.0
/* Trace events of the VT-d driver, hosted: lines of the file that WD_TRACE asks for. */
#include "../../../common/trace_file.h"
#include "fixture.h"

#include <system_error>

namespace wd::kerneltest
{
namespace
{

using machine::pasidStream;

constexpr uint32_t kAllocPasid = 1u << 3;

class Trace : public IommuTest
{
protected:
	/* The events of an attachment, a fault and the detachment. */
	void use()
	{
		iommu_domain *domain = domainAlloc(firstDev_, kAllocPasid).domain;

		ASSERT_EQ(attachPasid(domain, firstDev_, 7), 0);
		expectFault(pasidStream(kFirstRid, 7), 0x20000, kNotMapped);
		detachPasid(domain, firstDev_, 7);
		domainFree(domain);
	}
};

class Traced : public Trace
{
protected:
	TraceFile file_{"wd_iommu"};
};

TEST_F(Traced, AnAttachmentLeavesLines)
{
	const std::string entry = "sid=75:00\\.0 pasid=7 did=[0-9]+ pgtt=second";

	use();
	EXPECT_EQ(file_.count("wd_iommu:vtd_attach", entry), 1u);
	EXPECT_EQ(file_.count("wd_iommu:vtd_detach", entry), 1u);
	EXPECT_EQ(file_.count("wd_iommu:vtd_replace", entry), 0u);
	EXPECT_EQ(file_.count("vtd:.*", ".*"), 0u) << "the model's, which nobody asked for";
}

class TracedModel : public Trace
{
protected:
	TraceFile file_{"vtd"};
};

TEST_F(TracedModel, CategoriesAreApart)
{
	use();
	EXPECT_EQ(file_.count("vtd:translation",
			      "sid=75:00\\.0 pasid=7 iova=0x20000 access=read pa=0x0 fr=0x79"),
		  1u);
	EXPECT_EQ(file_.count("wd_iommu:.*", ".*"), 0u);
}

TEST_F(Trace, OffIsSilent)
{
	TraceFile file("all");

	/* No code looks at the environment between boots. */
	use();
	EXPECT_TRUE(file.lines().empty());
}

TEST(TraceRequest, UnknownCategoriesAreNamedWithThoseThatExist)
{
	TraceFile file("vtd,wd_iommo");

	try {
		hostkernel::boot({});
		hostkernel::shutdown();
		FAIL() << "booted";
	} catch (const std::system_error &error) {
		EXPECT_EQ(error.code().value(), EINVAL);
		EXPECT_NE(std::string(error.what())
				  .find("WD_TRACE: no category 'wd_iommo'; there are all, "),
			  std::string::npos)
			<< error.what();
		for (const char *name : {"vtd", "qm", "wd_iommu"})
			EXPECT_NE(std::string(error.what()).find(std::string(", ") + name),
				  std::string::npos)
				<< name;
	}
	EXPECT_FALSE(hostkernel::booted());
	EXPECT_TRUE(file.lines().empty());
}

} // namespace
} // namespace wd::kerneltest
