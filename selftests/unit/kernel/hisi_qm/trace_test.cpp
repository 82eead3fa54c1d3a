// SPDX-License-Identifier: Apache-2.0
/* Trace events of a request: those of iommufd, of the queue manager driver, and of the model. */
#include "../../../common/trace_file.h"
#include "fixture.h"

#include <cerrno>
#include <cstring>
#include <fmt/core.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "../../../common/asleep.h"
#include "../hisi_zip/crypto_side.h"
#include "buffers.h"
#include "faulty_zip.h"

namespace wd::hisitest
{
namespace
{

class Traced : public HisiTest
{
protected:
	TraceFile file_{"all"};
};

} // namespace

TEST_F(Traced, ARequestLeavesLinesOnEveryLayer)
{
	const Buffers buffers;
	std::string pasid, qp;

	/*
	 * Skip events of the driver's own test: it uses a queue before users get the accelerator.
	 */
	file_.skip();
	{
		Space space(caller_);
		QueueFile queue(caller_);

		ASSERT_EQ(buffers.map(space), 0);
		ASSERT_EQ(makeReady(queue, space), 0);
		queue.send(kSource, kPage, kDest, kSize);
		EXPECT_EQ(queue.wait(), 0);
		pasid = std::to_string(queue.pasid);
		qp = std::to_string(queue.number);
	}
	EXPECT_EQ(Rig::reset(), 0);

	const std::string dev = "dev=0000:75:00\\.0 ", sid = "sid=75:00\\.0 ";

	EXPECT_EQ(
		file_.count("iommufd:iommufd_map",
			    "ioas=[0-9]+ iova=0x100000 length=0x4000 user_va=0x[0-9a-f]+ flags=0x7 "
			    "ret=0"),
		1u);
	EXPECT_EQ(file_.count("iommufd:iommufd_hwpt_alloc",
			      fmt::format("{}hwpt=[0-9]+ pt=[0-9]+ flags=0x[0-9a-f]+", dev)),
		  1u);
	EXPECT_EQ(file_.count("iommufd:iommufd_attach",
			      fmt::format("{}pasid={} pt=[0-9]+ ret=0", dev, pasid)),
		  1u);
	EXPECT_EQ(file_.count("iommufd:iommufd_detach",
			      fmt::format("{}pasid={} pt=[0-9]+", dev, pasid)),
		  1u);
	EXPECT_EQ(file_.count("iommufd:iommufd_hwpt_free", "hwpt=[0-9]+"), 1u);
	EXPECT_EQ(file_.count("wd_iommu:vtd_attach",
			      fmt::format("{}pasid={} did=[0-9]+ pgtt=second", sid, pasid)),
		  1u);

	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_open", fmt::format("{}qp={}", dev, qp)), 1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_mailbox",
			      fmt::format("{}cmd=SQC queue={} base=0x.* op=0", dev, qp)),
		  1u);
	EXPECT_GE(file_.count("hisi_qm:hisi_qm_mailbox_done",
			      fmt::format("{}cmd=0x0 queue={} status=0 ret=0", dev, qp)),
		  1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_start",
			      fmt::format("{}qp={} type=0 pasid={} ret=0", dev, qp, pasid)),
		  1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_stop", fmt::format("{}qp={} ret=0", dev, qp)),
		  1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_close", fmt::format("{}qp={}", dev, qp)), 1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_halt", "dev=0000:75:00\\.0"), 1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_restart", fmt::format("{}ret=0", dev)), 1u);

	EXPECT_GE(file_.count("qm:mailbox",
			      fmt::format("{}cmd=0x0 queue={} base=0x.* op=0", sid, qp)),
		  1u);
	EXPECT_GE(
		file_.count("qm:mailbox_done", fmt::format("{}cmd=0x0 queue={} status=0", sid, qp)),
		1u);
	EXPECT_EQ(file_.count("qm:doorbell", fmt::format("{}qn={} cmd=sq index=1", sid, qp)), 1u);
	EXPECT_EQ(file_.count("qm:sqe",
			      fmt::format("{}pasid={} qn={} sq_head=0 dw9=0x[0-9a-f]+ again=0", sid,
					  pasid, qp)),
		  1u);
	EXPECT_EQ(
		file_.count(
			"qm:cqe",
			fmt::format("{}qn={} cq_tail=0 sq_head=0 phase=1 dw3=0x[0-9a-f]+ result=ok",
				    sid, qp)),
		1u);
	EXPECT_GE(file_.count(
			  "vtd:translation",
			  fmt::format("{}pasid={} iova=0x100000 access=read pa=0x[0-9a-f]+ fr=0x0",
				      sid, pasid)),
		  1u);
	EXPECT_GE(file_.count("vtd:context_entry", fmt::format("{}q0=0x.* q1=0x.* fr=0x0", sid)),
		  1u);
}

TEST_F(Traced, AMappingOfAFile)
{
	Space space(caller_);
	const std::string ioas = std::to_string(space.ioas);
	const int memory = memfd_create("traced", MFD_CLOEXEC);
	iommu_ioas_map_file map = {};

	ASSERT_EQ(ftruncate(memory, kPage), 0);
	map.size = sizeof(map);
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE;
	map.ioas_id = space.ioas;
	map.fd = caller_->importFile(memory);
	map.length = kPage;
	map.iova = 0x300000;
	ASSERT_GE(map.fd, 0);
	EXPECT_EQ(caller_->ioctl(space.fd, IOMMU_IOAS_MAP_FILE, reinterpret_cast<uintptr_t>(&map)),
		  0);
	EXPECT_EQ(file_.count("iommufd:iommufd_map_file",
			      fmt::format("ioas={} iova=0x300000 length=0x1000 fd={} start=0x0 "
					  "flags=0x5 ret=0",
					  ioas, map.fd)),
		  1u);
	iommu_ioas_change_process change = {sizeof(change), 0};

	EXPECT_EQ(caller_->ioctl(space.fd, IOMMU_IOAS_CHANGE_PROCESS,
				 reinterpret_cast<uintptr_t>(&change)),
		  0);
	EXPECT_EQ(file_.count("iommufd:iommufd_change_process", "pages=0 ret=0"), 1u);
	close(memory);
}

TEST_F(Traced, ACopyAndAnUnmap)
{
	Space space(caller_);
	const Buffers buffers(space);
	const std::string ioas = std::to_string(space.ioas);
	iommu_ioas_copy copy = {};

	ASSERT_EQ(buffers.error, 0);
	copy.size = sizeof(copy);
	copy.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE;
	copy.dst_ioas_id = copy.src_ioas_id = space.ioas;
	copy.length = kPage;
	copy.dst_iova = 0x300000;
	copy.src_iova = kSource;
	const auto ioctl = [&](auto &argument, unsigned long request) {
		return caller_->ioctl(space.fd, request, reinterpret_cast<uintptr_t>(&argument));
	};

	EXPECT_EQ(ioctl(copy, IOMMU_IOAS_COPY), 0);
	EXPECT_EQ(ioctl(copy, IOMMU_IOAS_COPY), -EEXIST);
	const std::string line = fmt::format(
		"dst_ioas={} src_ioas={} length=0x1000 dst_iova=0x300000 src_iova=0x100000 ret=",
		ioas, ioas);

	EXPECT_EQ(file_.count("iommufd:iommufd_copy", fmt::format("{}0", line)), 1u);
	EXPECT_EQ(file_.count("iommufd:iommufd_copy", fmt::format("{}{}", line, -EEXIST)), 1u);

	EXPECT_EQ(space.unmap(0x300000, kPage), 0);
	EXPECT_EQ(space.unmap(0x300000, kPage), -ENOENT);
	const std::string range =
		fmt::format("ioas={} iova=0x300000 length=0x1000 unmapped=", ioas);

	EXPECT_EQ(file_.count("iommufd:iommufd_unmap", fmt::format("{}0x1000 ret=0", range)), 1u);
	EXPECT_EQ(file_.count("iommufd:iommufd_unmap", fmt::format("{}0x0 ret={}", range, -ENOENT)),
		  1u);
}

TEST_F(Traced, AnAttachmentInThePlaceOfAnother)
{
	Space space(caller_);
	QueueFile queue(caller_);

	ASSERT_EQ(queue.open(), 0);
	ASSERT_EQ(queue.bind(space.fd), 0);
	ASSERT_EQ(space.makeHwpt(queue), 0);
	ASSERT_EQ(queue.attach(space.hwpt), 0);
	ASSERT_EQ(space.makeHwpt(queue), 0);
	ASSERT_EQ(queue.attach(space.hwpt, queue.pasid), 0);
	EXPECT_EQ(file_.count("iommufd:iommufd_replace",
			      fmt::format("dev=0000:75:00\\.0 pasid={} pt={} ret=0", queue.pasid,
					  space.hwpt)),
		  1u);
}

/* A request of the kernel, by the crypto API. */
TEST_F(Traced, ARequestOfTheKernel)
{
	std::vector<uint8_t> in(kPage, 'x'), out(2 * kPage);
	Deflate deflate;
	Job job(deflate);

	/* Skip requests of the kernel's own test of the algorithm. */
	file_.skip();
	ASSERT_EQ(job.run(Way::Compress, in.data(), in.size(), out.data(), out.size()), 0);
	const std::string request = "dev=0000:75:0[0-9]\\.[0-9] type=0 slot=[0-9]+ ";

	EXPECT_EQ(file_.count("hisi_zip:hisi_zip_submit",
			      fmt::format("{}source={} dest={}", request, in.size(), out.size())),
		  1u);
	EXPECT_EQ(file_.count("hisi_zip:hisi_zip_complete", request + "ret=0"), 1u);
}

/* The device has a register for tests that sets bits of the error status. */
TEST_F(Traced, AnErrorOfTheDevice)
{
	constexpr uint64_t kErrorSet = 0x10000c;

	rig_.zip().barWrite(2, kErrorSet, 1u << 3, 4);
	EXPECT_TRUE(test::eventually([&] {
		return file_.count("hisi_qm:hisi_qm_error", "dev=0000:75:00\\.0 status=0x8") == 1;
	}));
}

TEST_F(Traced, AResetAfterAnError)
{
	constexpr uint64_t kErrorSet = 0x10000c;

	rig_.zip().barWrite(2, kErrorSet, 1u << 2, 4);
	EXPECT_TRUE(test::eventually([&] {
		return file_.count("hisi_qm:hisi_qm_error_reset", "dev=0000:75:00\\.0 ret=0") == 1;
	}));
}

TEST_F(Traced, EveryQueueThatIsOpenedIsClosed)
{
	const std::string any = "dev=0000:75:00\\.0 qp=[0-9]+", kernels = "dev=0000:75:00\\.0 qp=0";

	EXPECT_EQ(Rig::unbind(), 0);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_open", kernels), 1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_close", kernels), 1u);
	EXPECT_EQ(file_.count("hisi_qm:hisi_qm_queue_open", any),
		  file_.count("hisi_qm:hisi_qm_queue_close", any));
}

} // namespace wd::hisitest
