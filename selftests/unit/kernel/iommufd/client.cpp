// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <cstring>
#include <new>
#include <poll.h>
#include <utility>

namespace kernel_iommufd
{

using namespace wd::hostkernel;

Buffer::Buffer(size_t length, size_t alignment)
	: baseLength_((length + kPage - 1) / kPage * kPage + alignment),
	  length_(length)
{
	base_ = ::mmap(nullptr, baseLength_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	if (base_ == MAP_FAILED)
		throw std::bad_alloc();
	const uint64_t address = reinterpret_cast<uint64_t>(base_);
	data_ = reinterpret_cast<uint8_t *>((address + alignment - 1) / alignment * alignment);
}

Buffer::~Buffer()
{
	::munmap(base_, baseLength_);
}

Iommufd::Iommufd(std::shared_ptr<Caller> caller)
	: caller_(std::move(caller)),
	  fd_(caller_->open("/dev/iommu", O_RDWR))
{
	EXPECT_GE(fd_, 0);
}

Iommufd::~Iommufd()
{
	close();
}

void Iommufd::close()
{
	if (fd_ < 0)
		return;
	EXPECT_EQ(0, caller_->close(fd_));
	fd_ = -1;
}

long Iommufd::ioctl(unsigned long request, void *argument) const
{
	return caller_->ioctl(fd_, request, reinterpret_cast<uintptr_t>(argument));
}

int Iommufd::destroy(uint32_t id) const
{
	iommu_destroy cmd = {sizeof(cmd), id};
	return static_cast<int>(ioctl(IOMMU_DESTROY, &cmd));
}

int64_t Iommufd::allocIoas() const
{
	iommu_ioas_alloc cmd = {sizeof(cmd), 0, 0};
	const long rc = ioctl(IOMMU_IOAS_ALLOC, &cmd);
	return rc ? rc : cmd.out_ioas_id;
}

int Iommufd::map(uint32_t ioas, uint64_t va, uint64_t length, uint32_t flags, uint64_t &iova) const
{
	iommu_ioas_map cmd = {};
	cmd.size = sizeof(cmd);
	cmd.flags = flags;
	cmd.ioas_id = ioas;
	cmd.user_va = va;
	cmd.length = length;
	cmd.iova = flags & kFixed ? iova : 0;
	const long rc = ioctl(IOMMU_IOAS_MAP, &cmd);
	if (!rc)
		iova = cmd.iova;
	return static_cast<int>(rc);
}

int Iommufd::mapFixed(uint32_t ioas, uint64_t va, uint64_t length, uint64_t iova,
		      uint32_t flags) const
{
	const uint64_t wanted = iova;
	const int rc = map(ioas, va, length, flags | kFixed, iova);
	EXPECT_EQ(wanted, iova);
	return rc;
}

int Iommufd::mapFile(uint32_t ioas, int file, uint64_t start, uint64_t length, uint64_t iova,
		     uint32_t flags) const
{
	iommu_ioas_map_file cmd = {};
	cmd.size = sizeof(cmd);
	cmd.flags = flags | kFixed;
	cmd.ioas_id = ioas;
	cmd.fd = file;
	cmd.start = start;
	cmd.length = length;
	cmd.iova = iova;
	return static_cast<int>(ioctl(IOMMU_IOAS_MAP_FILE, &cmd));
}

int Iommufd::unmap(uint32_t ioas, uint64_t iova, uint64_t length, uint64_t *done) const
{
	iommu_ioas_unmap cmd = {sizeof(cmd), ioas, iova, length};
	const long rc = ioctl(IOMMU_IOAS_UNMAP, &cmd);
	if (done)
		*done = cmd.length;
	return static_cast<int>(rc);
}

int Iommufd::copy(uint32_t dst, uint32_t src, uint64_t length, uint64_t srcIova, uint32_t flags,
		  uint64_t &dstIova) const
{
	iommu_ioas_copy cmd = {};
	cmd.size = sizeof(cmd);
	cmd.flags = flags;
	cmd.dst_ioas_id = dst;
	cmd.src_ioas_id = src;
	cmd.length = length;
	cmd.dst_iova = flags & kFixed ? dstIova : 0;
	cmd.src_iova = srcIova;
	const long rc = ioctl(IOMMU_IOAS_COPY, &cmd);
	if (!rc)
		dstIova = cmd.dst_iova;
	return static_cast<int>(rc);
}

int Iommufd::ranges(uint32_t ioas, std::vector<iommu_iova_range> &out, uint64_t &alignment) const
{
	iommu_ioas_iova_ranges cmd = {};
	cmd.size = sizeof(cmd);
	cmd.ioas_id = ioas;
	cmd.num_iovas = static_cast<uint32_t>(out.size());
	cmd.allowed_iovas = reinterpret_cast<uint64_t>(out.data());
	const long rc = ioctl(IOMMU_IOAS_IOVA_RANGES, &cmd);
	alignment = cmd.out_iova_alignment;
	if (!rc || rc == -EMSGSIZE)
		out.resize(cmd.num_iovas);
	return static_cast<int>(rc);
}

int Iommufd::allow(uint32_t ioas, const std::vector<iommu_iova_range> &ranges) const
{
	iommu_ioas_allow_iovas cmd = {};
	cmd.size = sizeof(cmd);
	cmd.ioas_id = ioas;
	cmd.num_iovas = static_cast<uint32_t>(ranges.size());
	cmd.allowed_iovas = reinterpret_cast<uint64_t>(ranges.data());
	return static_cast<int>(ioctl(IOMMU_IOAS_ALLOW_IOVAS, &cmd));
}

int Iommufd::option(uint32_t id, uint16_t op, uint32_t object, uint64_t &value) const
{
	iommu_option cmd = {};
	cmd.size = sizeof(cmd);
	cmd.option_id = id;
	cmd.op = op;
	cmd.object_id = object;
	cmd.val64 = value;
	const long rc = ioctl(IOMMU_OPTION, &cmd);
	value = cmd.val64;
	return static_cast<int>(rc);
}

int Iommufd::hwpt(uint32_t dev, uint32_t pt, uint32_t flags, uint32_t &id) const
{
	iommu_hwpt_alloc cmd = {};
	cmd.size = sizeof(cmd);
	cmd.flags = flags;
	cmd.dev_id = dev;
	cmd.pt_id = pt;
	const long rc = ioctl(IOMMU_HWPT_ALLOC, &cmd);
	if (!rc)
		id = cmd.out_hwpt_id;
	return static_cast<int>(rc);
}

int Iommufd::nested(uint32_t dev, uint32_t parent, uint64_t root, uint32_t &id, uint32_t flags,
		    uint32_t fault) const
{
	iommu_hwpt_vtd_s1 s1 = {};
	s1.pgtbl_addr = root;
	s1.addr_width = 48;
	iommu_hwpt_alloc cmd = {};
	cmd.size = sizeof(cmd);
	cmd.flags = flags | (fault ? IOMMU_HWPT_FAULT_ID_VALID : 0);
	cmd.dev_id = dev;
	cmd.pt_id = parent;
	cmd.data_type = IOMMU_HWPT_DATA_VTD_S1;
	cmd.data_len = sizeof(s1);
	cmd.data_uptr = reinterpret_cast<uint64_t>(&s1);
	cmd.fault_id = fault;
	const long rc = ioctl(IOMMU_HWPT_ALLOC, &cmd);
	if (!rc)
		id = cmd.out_hwpt_id;
	return static_cast<int>(rc);
}

int Iommufd::invalidate(uint32_t hwpt, const void *entries, uint32_t length, uint32_t &number,
			uint32_t type) const
{
	iommu_hwpt_invalidate cmd = {};
	cmd.size = sizeof(cmd);
	cmd.hwpt_id = hwpt;
	cmd.data_uptr = reinterpret_cast<uint64_t>(entries);
	cmd.data_type = type;
	cmd.entry_len = length;
	cmd.entry_num = number;
	const long rc = ioctl(IOMMU_HWPT_INVALIDATE, &cmd);
	number = cmd.entry_num;
	return static_cast<int>(rc);
}

FaultQueue::FaultQueue(const Iommufd &iommufd) : caller_(iommufd.caller())
{
	iommu_fault_alloc cmd = {};
	cmd.size = sizeof(cmd);
	EXPECT_EQ(0, iommufd.ioctl(IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	id_ = cmd.out_fault_id;
	fd_ = static_cast<int>(cmd.out_fault_fd);
}

FaultQueue::~FaultQueue()
{
	close();
}

void FaultQueue::close()
{
	if (fd_ < 0)
		return;
	EXPECT_EQ(0, caller_.close(fd_));
	fd_ = -1;
}

ssize_t FaultQueue::read(iommu_hwpt_pgfault *records, size_t number) const
{
	return caller_.read(fd_, records, number * sizeof(*records));
}

int FaultQueue::answer(uint32_t cookie, uint32_t code) const
{
	const iommu_hwpt_page_response response = {cookie, code};
	const ssize_t rc = caller_.write(fd_, &response, sizeof(response));
	return rc == sizeof(response) ? 0 : static_cast<int>(rc);
}

bool FaultQueue::readable() const
{
	return waitReadable(0);
}

bool FaultQueue::waitReadable(int timeoutMs) const
{
	pollfd poll = {fd_, POLLIN, 0};
	return caller_.poll(&poll, 1, timeoutMs) == 1 && poll.revents & POLLIN;
}

} // namespace kernel_iommufd
