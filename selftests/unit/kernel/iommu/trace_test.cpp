// SPDX-License-Identifier: Apache-2.0
/* Trace events of the VT-d driver, hosted: lines in the file that WD_TRACE names. */
#include "../../../common/trace_file.h"
#include "fixture.h"
#include "guest.h"
#include "requester.h"

#include <system_error>

namespace wd::kerneltest
{
namespace
{

using machine::pasidStream;
using machine::StreamId;

constexpr uint32_t kAllocPasid = 1u << 3;

class Trace : public IommuTest
{
protected:
	/* Cause the events of an attachment, a fault and a detachment. */
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

TEST_F(Traced, AFaultAndInvalidationsLeaveLines)
{
	const std::string unit = "unit=0000:75:02\\.0 ";

	use();
	EXPECT_EQ(file_.count("wd_iommu:vtd_fault",
			      unit + "sid=75:00\\.0 pp=1 pasid=7 addr=0x20000 fr=0x79 type=read"),
		  1u);
	/* The detachment flushes the entry and the translations of its domain. */
	for (const char *type : {"pasid-cache", "iotlb", "wait"})
		EXPECT_GE(
			file_.count("wd_iommu:vtd_invalidate_submit",
				    unit + "type=" + type + " q0=0x[0-9a-f]{16} q1=0x[0-9a-f]{16}"),
			1u)
			<< type;
	EXPECT_GE(file_.count("wd_iommu:vtd_invalidate_done", unit + "iqt=[0-9]+ ret=0"), 1u);
	EXPECT_EQ(file_.count("wd_iommu:vtd_invalidate_done", unit + "iqt=[0-9]+ ret=-.*"), 0u);
	EXPECT_EQ(file_.count("wd_iommu:vtd_unit_dead", ".*"), 0u);
}

class TracedPages : public IommuTest
{
protected:
	TestFunctionOptions functionOptions() const override { return {.ats = true}; }

	static constexpr uint64_t kVa = 0x7f0000345000;
	TraceFile file_{"wd_iommu,vtd"};
	Requester requester_;
};

TEST_F(TracedPages, APageRequestLeavesTheSameOnBothSides)
{
	const StreamId stream = pasidStream(kFirstRid, 5);

	unit_->setCacheMode(machine::CacheMode::Maximal);
	Guest guest(firstDev_);
	const uint64_t root = guest.page(), page = guest.page();

	guest.entry(root, kVa);
	{
		FaultHandler handler(firstDev_, 5, [&](const RequestGroup &) {
			guest.map(root, kVa, page);
			return Answer::Success;
		});
		wd_pgtable *made = guest.table(firstDev_, root).table;

		ASSERT_EQ(bindTablePasid(guest.parent(), firstDev_, made, 5), 0);
		ASSERT_EQ(agent_->prepare(stream, kVa, 8, machine::Access::Write, requester_, 1),
			  machine::DmaResult::Pending);
		EXPECT_EQ(requester_.wait(1), machine::PageResponse::Success);
		unbindTablePasid(guest.parent(), firstDev_, made, 5);
		tableFree(made);
	}
	const std::string at = "addr=0x7f0000345000 rdr=[01] wrr=1 lpig=1";

	EXPECT_EQ(
		file_.count("wd_iommu:vtd_attach", "sid=75:00\\.0 pasid=5 did=[0-9]+ pgtt=nested"),
		1u);
	EXPECT_EQ(file_.count("vtd:page_request", "sid=75:00\\.0 pasid=5 prgi=[0-9]+ " + at), 1u);
	EXPECT_EQ(file_.count("wd_iommu:vtd_page_request",
			      "sid=75:00\\.0 pp=1 pasid=5 prgi=[0-9]+ " + at),
		  1u);
	EXPECT_EQ(file_.count("wd_iommu:vtd_page_response",
			      "sid=75:00\\.0 pp=[01] pasid=5 prgi=[0-9]+ code=success"),
		  1u);
	EXPECT_EQ(file_.count("vtd:page_response", "sid=75:00\\.0 pasid=5 prgi=[0-9]+ code=0"), 1u);
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
	EXPECT_EQ(file_.count("vtd:pasid_entry",
			      "sid=75:00\\.0 pasid=7 q0=0x.* q1=0x.* q2=0x0 fr=0x0"),
		  1u);
	EXPECT_GE(file_.count("vtd:walk_step",
			      "stage=second level=[1-4] iova=0x20000 pa=0x.* entry=.*"),
		  1u);
	EXPECT_EQ(file_.count("vtd:fault_record",
			      "sid=75:00\\.0 pasid=7 addr=0x20000 fr=0x79 access=read fri=0"),
		  1u);
	/* Types 7 and 2 of VT-d 6.5.2: PASID cache and IOTLB. */
	for (const char *type : {"7", "2"})
		EXPECT_GE(file_.count("vtd:invalidation_descriptor",
				      std::string("iqh=0x.* type=") + type + " q0=.* q1=.* iqei=0"),
			  1u)
			<< type;
	EXPECT_EQ(file_.count("wd_iommu:.*", ".*"), 0u);
}

TEST_F(Trace, OffIsSilent)
{
	TraceFile file("all");

	/* The kernel reads the environment only when it boots. */
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
