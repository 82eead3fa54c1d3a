// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"
#include "mock_function.h"

#include <cstring>
#include <poll.h>

namespace kernel_iommufd
{

using namespace wd::hostkernel;

MockDevice::MockDevice(unsigned index, std::shared_ptr<Caller> caller)
	: caller_(std::move(caller)),
	  index_(index),
	  fd_(caller_->open("/dev/mock" + std::to_string(index), O_RDWR))
{
	EXPECT_GE(fd_, 0);
}

MockDevice::~MockDevice()
{
	close();
}

void MockDevice::close()
{
	if (fd_ < 0)
		return;
	EXPECT_EQ(0, caller_->close(fd_));
	fd_ = -1;
}

int MockDevice::bind(const Iommufd &iommufd, bool shared)
{
	return bindFd(iommufd.fd(), shared);
}

int MockDevice::bindFd(int iommufd, bool shared)
{
	mock_bind cmd = {iommufd, shared, 0};
	const long rc = caller_->ioctl(fd_, MOCK_BIND, reinterpret_cast<uintptr_t>(&cmd));
	if (!rc)
		id_ = cmd.out_id;
	return static_cast<int>(rc);
}

int MockDevice::unbind()
{
	return static_cast<int>(caller_->ioctl(fd_, MOCK_UNBIND, 0));
}

int MockDevice::attach(uint32_t &pt, uint32_t pasid, bool replace)
{
	mock_attach cmd = {pasid, pt, replace};
	const long rc = caller_->ioctl(fd_, MOCK_ATTACH, reinterpret_cast<uintptr_t>(&cmd));
	if (!rc)
		pt = cmd.pt_id;
	return static_cast<int>(rc);
}

int MockDevice::attachTo(uint32_t pt, uint32_t pasid)
{
	return attach(pt, pasid);
}

int MockDevice::detach(uint32_t pasid)
{
	return static_cast<int>(
		caller_->ioctl(fd_, MOCK_DETACH, reinterpret_cast<uintptr_t>(&pasid)));
}

Entry entryAt(unsigned device, uint64_t iova, unsigned pasid)
{
	unsigned long long phys = 0;
	unsigned long pageSize = 0;
	int prot = 0;
	Entry entry;
	entry.present = mock_translate(device, pasid, iova, &phys, &prot, &pageSize);
	entry.phys = phys;
	entry.read = prot & 1;
	entry.write = prot & 2;
	entry.pageSize = pageSize;
	return entry;
}

KernelTest::KernelTest(bool nest)
{
	for (int i = 0; i < 4; i++)
		functions_.push_back(std::make_unique<MockFunction>());
	mock_config = {};
	mock_config.enabled = 1;
	mock_config.pgsizes = 0x1000 | 0x200000 | 0x40000000;
	mock_config.aperture_end = (1ULL << 48) - 1;
	mock_config.coherent = 1;
	mock_config.isolated = 1;
	mock_config.max_pasids = 1U << 20;
	mock_config.hw_info_len = 24;
	mock_config.nest = nest;
	mock_config.fault_credits = 32768;
	boot();
}

void KernelTest::boot()
{
	BootConfig config;
	for (unsigned i = 0; i < functions_.size(); i++)
		config.pci.push_back({0, 0, static_cast<uint8_t>(i), 0, 0, functions_[i].get()});
	wd::hostkernel::boot(config);
}

void KernelTest::shutdown()
{
	failNth(FailPoint::Allocation, 0);
	failNth(FailPoint::CopyUser, 0);
	failNth(FailPoint::Pin, 0);
	if (!booted())
		return;
	const LeakReport report = wd::hostkernel::shutdown();
	EXPECT_TRUE(report.clean())
		<< report.openFiles << " files, " << report.pinnedPages << " pinned pages, "
		<< report.kernelAllocations << " allocations, " << report.dmaAllocations
		<< " DMA allocations, " << report.devices << " devices left";
	EXPECT_EQ(0u, mock_counters.domains);
	EXPECT_EQ(0u, mock_counters.tables);
	EXPECT_EQ(0u, mock_counters.faults_enabled);
}

std::shared_ptr<Caller> KernelTest::limited(unsigned uid, uint64_t pages)
{
	auto caller = Caller::create(uid);

	caller->setCapability(Capability::IpcLock, false);
	caller->setMemlockLimit(pages * kPage);
	return caller;
}

void KernelTest::reboot()
{
	shutdown();
	boot();
}

KernelTest::~KernelTest()
{
	shutdown();
}

IoasTest::IoasTest(bool nest) : KernelTest(nest)
{
	ioas_ = static_cast<uint32_t>(iommufd_->allocIoas());
	EXPECT_EQ(1u, ioas_);
	EXPECT_EQ(0, device_->bind(*iommufd_));
	EXPECT_EQ(2u, device_->id());
}

IoasTest::~IoasTest()
{
	device_.reset();
	iommufd_.reset();
}

NestedTest::NestedTest() : IoasTest(true)
{
	EXPECT_EQ(0, iommufd_->hwpt(device_->id(), ioas_, kParentFlags, parent_));
}

mock_verdict NestedTest::request(unsigned pasid, unsigned short grpid, unsigned count,
				 unsigned device, uint64_t address)
{
	mock_verdict verdict = MOCK_REFUSED;
	for (unsigned i = 1; i <= count; i++) {
		const mock_request request = {
			device, pasid != 0, pasid, grpid, address + (i - 1) * kPage,
			3,	i == count, 0};
		verdict = mock_ask(&request);
	}
	return verdict;
}

unsigned NestedTest::answers(unsigned short grpid, int *code)
{
	unsigned count = 0;
	for (unsigned i = 0; i < mock_nr_responses(); i++) {
		const mock_response response = mock_response_at(i);
		if (response.grpid != grpid)
			continue;
		count++;
		if (code)
			*code = response.code;
	}
	return count;
}

uint32_t IoasTest::attach()
{
	uint32_t pt = ioas_;
	EXPECT_EQ(0, device_->attach(pt));
	return pt;
}

} // namespace kernel_iommufd
