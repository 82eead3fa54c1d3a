// SPDX-License-Identifier: Apache-2.0
/*
 * Trace events of objects that VT-d does not have, or that need a driver which a test commands: the
 * devices, accesses and virtual IOMMUs of the module of tests.
 */
#include "../../../common/trace_file.h"
#include "fixture.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/core.h>

namespace kernel_selftest
{

using kernel_iommufd::FaultQueue;

namespace
{

/* A base, since the kernel reads the environment when it starts. */
struct TraceOn {
	TraceFile file_{"iommufd"};
};

class Traced : protected TraceOn, public AccessTest
{
protected:
	uint32_t table(const MockDevice &device, uint32_t pt, uint32_t flags, bool nested = false,
		       uint32_t fault = 0) const
	{
		const iommu_hwpt_selftest data = {.iotlb = 1, .pagetable_type = 0};
		iommu_hwpt_alloc cmd = {};

		cmd.size = sizeof(cmd);
		cmd.flags = flags | (fault ? IOMMU_HWPT_FAULT_ID_VALID : 0);
		cmd.dev_id = device.device;
		cmd.pt_id = pt;
		cmd.data_type = nested ? IOMMU_HWPT_DATA_SELFTEST : 0;
		cmd.data_len = nested ? sizeof(data) : 0;
		cmd.data_uptr = nested ? reinterpret_cast<uintptr_t>(&data) : 0;
		cmd.fault_id = fault;
		EXPECT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_ALLOC, &cmd));
		return cmd.out_hwpt_id;
	}
	int run(iommu_test_cmd &cmd) const
	{
		return execute(iommufd_->caller(), iommufd_->fd(), cmd);
	}
	unsigned count(const char *event, const std::string &fields) const
	{
		return file_.count(event, fields);
	}
};

TEST_F(Traced, AnInvalidation)
{
	MockDevice device(*iommufd_, ioas_);
	const uint32_t parent = table(device, ioas_, IOMMU_HWPT_ALLOC_NEST_PARENT);
	const uint32_t nested = table(device, parent, 0, true);
	iommu_hwpt_invalidate_selftest entries[2] = {{0, 1}, {0, 9}};
	uint32_t number = 2;

	EXPECT_EQ(-EINVAL, iommufd_->invalidate(nested, entries, sizeof(entries[0]), number,
						IOMMU_HWPT_INVALIDATE_DATA_SELFTEST));
	EXPECT_EQ(1u, count("iommufd:iommufd_invalidate",
			    fmt::format("hwpt={} type={} entries=2 done=1 ret={}", nested,
					IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, -EINVAL)));
}

TEST_F(Traced, AFaultAndItsAnswer)
{
	MockDevice device(*iommufd_, ioas_);
	FaultQueue queue(*iommufd_);
	const uint32_t parent = table(device, ioas_, IOMMU_HWPT_ALLOC_NEST_PARENT);
	auto replace = command(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, device.id);
	auto fault = command(IOMMU_TEST_OP_TRIGGER_IOPF);
	iommu_hwpt_pgfault record = {};

	replace.mock_domain_replace.pt_id = table(device, parent, 0, true, queue.id());
	ASSERT_EQ(0, run(replace));
	fault.trigger_iopf.dev_id = device.device;
	fault.trigger_iopf.addr = kIova;
	ASSERT_EQ(0, run(fault));
	ASSERT_EQ(static_cast<ssize_t>(sizeof(record)), queue.read(&record, 1));
	EXPECT_EQ(0, queue.answer(record.cookie));
	EXPECT_EQ(-EINVAL, queue.answer(record.cookie));
	const std::string group = fmt::format("fault={} cookie={} ", queue.id(), record.cookie);
	EXPECT_EQ(1u, count("iommufd:iommufd_fault_read", group + "pages=1 ret=0"));
	EXPECT_EQ(1u, count("iommufd:iommufd_fault_response", group + "code=0 ret=0"));
	EXPECT_EQ(1u, count("iommufd:iommufd_fault_response",
			    fmt::format("{}code=0 ret={}", group, -EINVAL)));
	replace.mock_domain_replace.pt_id = ioas_;
	EXPECT_EQ(0, run(replace));
}

TEST_F(Traced, AnAccess)
{
	Buffer memory(4 * kPage);
	const auto other = static_cast<uint32_t>(iommufd_->allocIoas());
	uint32_t item = 0;

	ASSERT_EQ(0, mapBuffer(memory));
	{
		Access access(*iommufd_, ioas_);
		ASSERT_EQ(0, access.pin(kIova, kPage, item));
		EXPECT_EQ(0, iommufd_->unmap(ioas_, kIova, 4 * kPage));
		EXPECT_EQ(0, access.replace(other));
		EXPECT_EQ(-ENOENT, access.replace(0));
	}
	EXPECT_EQ(1u, count("iommufd:iommufd_access_attach",
			    fmt::format("access=[0-9]+ ioas={} ret=0", ioas_)));
	EXPECT_EQ(1u,
		  count("iommufd:iommufd_access_unmap",
			fmt::format("access=[0-9]+ iova=0x{:x} length=0x{:x}", kIova, 4 * kPage)));
	EXPECT_EQ(1u, count("iommufd:iommufd_access_replace",
			    fmt::format("access=[0-9]+ ioas={} ret=0", other)));
	EXPECT_EQ(1u, count("iommufd:iommufd_access_replace",
			    fmt::format("access=[0-9]+ ioas=0 ret={}", -ENOENT)));
	EXPECT_EQ(1u, count("iommufd:iommufd_access_detach",
			    fmt::format("access=[0-9]+ ioas={}", other)));
}

TEST_F(Traced, AVirtualIommuAndItsEvents)
{
	MockDevice device(*iommufd_, ioas_);
	const uint32_t parent = table(device, ioas_, IOMMU_HWPT_ALLOC_NEST_PARENT);
	auto event = command(IOMMU_TEST_OP_TRIGGER_VEVENT);
	iommu_vdevice_alloc vdevice = {};
	iommu_viommu_alloc alloc = {};

	alloc.size = sizeof(alloc);
	alloc.type = IOMMU_VIOMMU_TYPE_SELFTEST;
	alloc.dev_id = device.device;
	alloc.hwpt_id = parent;
	ASSERT_EQ(0, iommufd_->ioctl(IOMMU_VIOMMU_ALLOC, &alloc));
	const uint32_t viommu = alloc.out_viommu_id;
	alloc.hwpt_id = device.device;
	EXPECT_EQ(-ENOENT, iommufd_->ioctl(IOMMU_VIOMMU_ALLOC, &alloc));
	EXPECT_EQ(1u, count("iommufd:iommufd_viommu_alloc",
			    fmt::format("viommu={} hwpt={} type={} ret=0", viommu, parent,
					IOMMU_VIOMMU_TYPE_SELFTEST)));
	EXPECT_EQ(1u, count("iommufd:iommufd_viommu_alloc",
			    fmt::format("viommu=0 hwpt={} type={} ret={}", device.device,
					IOMMU_VIOMMU_TYPE_SELFTEST, -ENOENT)));
	vdevice.size = sizeof(vdevice);
	vdevice.viommu_id = viommu;
	vdevice.dev_id = device.device;
	vdevice.virt_id = 7;
	ASSERT_EQ(0, iommufd_->ioctl(IOMMU_VDEVICE_ALLOC, &vdevice));
	auto replace = command(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, device.id);
	replace.mock_domain_replace.pt_id = table(device, viommu, 0, true);
	ASSERT_EQ(0, run(replace));
	event.trigger_vevent.dev_id = device.device;
	EXPECT_EQ(-EOPNOTSUPP, run(event)) << "no queue";
	EXPECT_EQ(1u, count("iommufd:iommufd_vevent",
			    fmt::format("viommu={} type={} length=0x{:x} ret={}", viommu,
					IOMMU_VEVENTQ_TYPE_SELFTEST,
					sizeof(iommu_viommu_event_selftest), -EOPNOTSUPP)));
	iommufd_->close();
}

TEST_F(Traced, DirtyPages)
{
	MockDevice device(*iommufd_, ioas_);
	const uint32_t tracked = table(device, ioas_, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	iommu_hwpt_set_dirty_tracking set = {};
	iommu_hwpt_get_dirty_bitmap get = {};
	uint8_t bits = 0;

	set.size = sizeof(set);
	set.hwpt_id = tracked;
	set.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
	EXPECT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_SET_DIRTY_TRACKING, &set));
	EXPECT_EQ(1u, count("iommufd:iommufd_dirty_tracking",
			    fmt::format("hwpt={} flags=0x1 ret=0", tracked)));
	get.size = sizeof(get);
	get.hwpt_id = tracked;
	get.iova = kIova;
	get.length = 4 * kPage;
	get.page_size = kPage;
	get.data = reinterpret_cast<uintptr_t>(&bits);
	EXPECT_EQ(0, iommufd_->ioctl(IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	EXPECT_EQ(1u, count("iommufd:iommufd_dirty_bitmap",
			    fmt::format("hwpt={} iova=0x{:x} length=0x{:x} flags=0x0 ret=0",
					tracked, kIova, 4 * kPage)));
}

TEST_F(Traced, ARevocation)
{
	auto get = command(IOMMU_TEST_OP_DMABUF_GET), revoke = command(IOMMU_TEST_OP_DMABUF_REVOKE);

	get.dmabuf_get.length = 2 * kPage;
	get.dmabuf_get.open_flags = O_RDWR;
	const int fd = run(get);
	ASSERT_GE(fd, 0);
	revoke.dmabuf_revoke.dmabuf_fd = fd;
	for (const unsigned revoked : {1u, 0u}) {
		revoke.dmabuf_revoke.revoked = revoked;
		EXPECT_EQ(0, run(revoke));
		EXPECT_EQ(1u, count("iommufd:iommufd_dmabuf_revoke",
				    fmt::format("phys=0x[0-9a-f]+ size=0x{:x} revoked={}",
						2 * kPage, revoked)));
	}
	EXPECT_EQ(0, iommufd_->caller().close(fd));
}

} // namespace

} // namespace kernel_selftest
