// SPDX-License-Identifier: Apache-2.0
/* Trace events on the way of a request: iommufd, queue manager driver, and the model's. */
#include "../../../common/trace_file.h"
#include "fixture.h"

#include <cstring>
#include <string>
#include <sys/mman.h>

namespace wd::hisitest
{
namespace
{

constexpr uint64_t kIova = 0x100000;
constexpr size_t kSize = 8 * kPage;

class Traced : public HisiTest
{
protected:
	TraceFile file_{"all"};
};

} // namespace

TEST_F(Traced, ARequestLeavesLinesOnEveryLayer)
{
	void *memory =
		mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	std::string pasid, qp;

	ASSERT_NE(memory, MAP_FAILED);
	std::memset(memory, 'w', kSize);
	/* The driver tests the accelerator, with a queue, before users get it. */
	file_.skip();
	{
		Space space(caller_);
		QueueFile queue(caller_);

		ASSERT_EQ(space.map(memory, kSize, kIova), 0);
		ASSERT_EQ(makeReady(queue, space), 0);
		queue.send(kIova, kPage, kIova + kSize / 2, kSize / 2);
		EXPECT_EQ(queue.wait(), 0);
		pasid = std::to_string(queue.pasid);
		qp = std::to_string(queue.number);
	}
	EXPECT_EQ(Rig::reset(), 0);
	munmap(memory, kSize);

	const std::string dev = "dev=0000:75:00\\.0 ", sid = "sid=75:00\\.0 ";

	EXPECT_EQ(
		file_.count("iommufd:iommufd_map",
			    "ioas=[0-9]+ iova=0x100000 length=0x8000 user_va=0x[0-9a-f]+ flags=0x7 "
			    "ret=0"),
		1u);
	EXPECT_EQ(file_.count("iommufd:iommufd_hwpt_alloc",
			      dev + "hwpt=[0-9]+ pt=[0-9]+ flags=0x[0-9a-f]+"),
		  1u);
	EXPECT_EQ(
		file_.count("iommufd:iommufd_attach", dev + "pasid=" + pasid + " pt=[0-9]+ ret=0"),
		1u);
	EXPECT_EQ(file_.count("iommufd:iommufd_detach", dev + "pasid=" + pasid + " pt=[0-9]+"), 1u);
	EXPECT_EQ(file_.count("iommufd:iommufd_hwpt_free", "hwpt=[0-9]+"), 1u);
	EXPECT_EQ(file_.count("wd_iommu:vtd_attach",
			      sid + "pasid=" + pasid + " did=[0-9]+ pgtt=second"),
		  1u);

	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_open", dev + "qp=" + qp), 1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_mailbox",
			      dev + "cmd=SQC queue=" + qp + " base=0x.* op=0"),
		  1u);
	EXPECT_GE(file_.count("hisi_qm:hisi_qm_mailbox_done",
			      dev + "cmd=0x0 queue=" + qp + " status=0 ret=0"),
		  1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_start",
			      dev + "qp=" + qp + " type=0 pasid=" + pasid + " ret=0"),
		  1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_stop", dev + "qp=" + qp + " ret=0"), 1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_close", dev + "qp=" + qp), 1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_halt", "dev=0000:75:00\\.0"), 1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_restart", dev + "ret=0"), 1u);

	EXPECT_GE(file_.count("qm:mailbox", sid + "cmd=0x0 queue=" + qp + " base=0x.* op=0"), 1u);
	EXPECT_GE(file_.count("qm:mailbox_done", sid + "cmd=0x0 queue=" + qp + " status=0"), 1u);
	EXPECT_EQ(file_.count("qm:doorbell", sid + "qn=" + qp + " cmd=sq index=1"), 1u);
	EXPECT_EQ(file_.count("qm:sqe", sid + "pasid=" + pasid + " qn=" + qp +
						" sq_head=0 dw9=0x[0-9a-f]+ again=0"),
		  1u);
	EXPECT_EQ(file_.count("qm:cqe",
			      sid + "qn=" + qp +
				      " cq_tail=0 sq_head=0 phase=1 dw3=0x[0-9a-f]+ result=ok"),
		  1u);
	EXPECT_GE(file_.count("vtd:translation",
			      sid + "pasid=" + pasid +
				      " iova=0x100000 access=read pa=0x[0-9a-f]+ fr=0x0"),
		  1u);
	EXPECT_GE(file_.count("vtd:context_entry", sid + "q0=0x.* q1=0x.* fr=0x0"), 1u);
}

} // namespace wd::hisitest
