// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <linux/vfio.h>

namespace kernel_selftest
{

using wd::hostkernel::failNth;
using wd::hostkernel::FailPoint;

static constexpr unsigned long kTestCommand = _IO(';', 0xa0);

iommu_test_cmd command(uint32_t op, uint32_t id)
{
	iommu_test_cmd cmd = {};

	cmd.size = sizeof(cmd);
	cmd.op = op;
	cmd.id = id;
	return cmd;
}

int execute(Caller &caller, int iommufd, iommu_test_cmd &cmd)
{
	return static_cast<int>(
		caller.ioctl(iommufd, kTestCommand, reinterpret_cast<uintptr_t>(&cmd)));
}

MockDevice::MockDevice(const Iommufd &iommufd, uint32_t pt, uint32_t flags)
{
	auto cmd = command(IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, pt);

	cmd.mock_domain.dev_flags = flags;
	error = execute(iommufd.caller(), iommufd.fd(), cmd);
	id = cmd.mock_domain.out_stdev_id;
	hwpt = cmd.mock_domain.out_hwpt_id;
	device = cmd.mock_domain.out_idev_id;
}

Access::Access(const Iommufd &iommufd, uint32_t ioas, bool pins)
	: caller_(iommufd.caller()),
	  iommufd_(iommufd)
{
	auto cmd = command(IOMMU_TEST_OP_CREATE_ACCESS, ioas);

	cmd.create_access.flags = pins ? MOCK_ACCESS_CREATE_NEEDS_PIN_PAGES : 0;
	error_ = execute(cmd);
	if (!error_)
		fd_ = static_cast<int>(cmd.create_access.out_access_fd);
}

Access::~Access()
{
	close();
}

void Access::close()
{
	if (fd_ < 0)
		return;
	EXPECT_EQ(0, caller_.close(fd_));
	fd_ = -1;
}

int Access::execute(iommu_test_cmd &cmd) const
{
	return kernel_selftest::execute(caller_, iommufd_.fd(), cmd);
}

int Access::pin(uint64_t iova, uint64_t length, uint32_t &item, const void *memory,
		uint32_t flags) const
{
	auto cmd = command(IOMMU_TEST_OP_ACCESS_PAGES, static_cast<uint32_t>(fd_));

	cmd.access_pages.flags = flags;
	cmd.access_pages.iova = iova;
	cmd.access_pages.length = length;
	cmd.access_pages.uptr = reinterpret_cast<uintptr_t>(memory);
	const int rc = execute(cmd);
	if (!rc)
		item = cmd.access_pages.out_access_pages_id;
	return rc;
}

int Access::unpin(uint32_t item) const
{
	auto cmd = command(IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, static_cast<uint32_t>(fd_));

	cmd.destroy_access_pages.access_pages_id = item;
	return execute(cmd);
}

int Access::copy(uint64_t iova, void *data, uint64_t length, uint32_t flags) const
{
	auto cmd = command(IOMMU_TEST_OP_ACCESS_RW, static_cast<uint32_t>(fd_));

	cmd.access_rw.iova = iova;
	cmd.access_rw.length = length;
	cmd.access_rw.uptr = reinterpret_cast<uintptr_t>(data);
	cmd.access_rw.flags = flags;
	return execute(cmd);
}

int Access::replace(uint32_t ioas) const
{
	auto cmd = command(IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, static_cast<uint32_t>(fd_));

	cmd.access_replace_ioas.ioas_id = ioas;
	return execute(cmd);
}

ModuleTest::ModuleTest()
{
	wd::hostkernel::boot({});
}

ModuleTest::~ModuleTest()
{
	shutdown();
}

void ModuleTest::shutdown()
{
	failNth(FailPoint::Allocation, 0);
	failNth(FailPoint::Pin, 0);
	if (!wd::hostkernel::booted())
		return;
	const auto report = wd::hostkernel::shutdown();

	EXPECT_TRUE(report.clean()) << report.openFiles << " files, " << report.pinnedPages
				    << " pinned pages, " << report.kernelAllocations
				    << " allocations, " << report.devices << " devices left";
}

std::shared_ptr<Caller> ModuleTest::limited(unsigned uid, uint64_t pages)
{
	auto caller = Caller::create(uid);

	caller->setCapability(Capability::IpcLock, false);
	caller->setMemlockLimit(pages * kPage);
	return caller;
}

AccessTest::AccessTest() : ioas_(static_cast<uint32_t>(iommufd_->allocIoas())) {}

void AccessTest::useType1() const
{
	iommu_vfio_ioas cmd = {sizeof(cmd), ioas_, IOMMU_VFIO_IOAS_SET, 0};

	EXPECT_EQ(0, iommufd_->ioctl(IOMMU_VFIO_IOAS, &cmd));
	EXPECT_EQ(0, iommufd_->ioctl(VFIO_SET_IOMMU, reinterpret_cast<void *>(VFIO_TYPE1_IOMMU)));
}

int AccessTest::unmapPart(uint64_t iova, uint64_t length) const
{
	vfio_iommu_type1_dma_unmap unmap = {};

	unmap.argsz = sizeof(unmap);
	unmap.iova = iova;
	unmap.size = length;
	return static_cast<int>(iommufd_->ioctl(VFIO_IOMMU_UNMAP_DMA, &unmap));
}

} // namespace kernel_selftest
