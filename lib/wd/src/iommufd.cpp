// SPDX-License-Identifier: Apache-2.0
#include "wd/iommufd.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>

#include <linux/iommufd.h>

namespace wd
{

namespace
{

std::string hex(uint64_t value)
{
	char text[24];
	std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(value));
	return text;
}

std::string rangeText(uint64_t start, uint64_t length)
{
	return std::to_string(length) + " bytes at IOVA " + hex(start);
}

const char *mapRemedy(int error)
{
	switch (error) {
	case ENOMEM:
		return "raise the limit of locked memory (ulimit -l), or map less";
	case EFAULT:
		return "give memory that the process has mapped, with the same rights";
	case EEXIST:
		return "unmap what is there, or use another IOVA";
	case ENOSPC:
		return "unmap something: no gap of that size is left";
	case EINVAL:
		return "use an IOVA and a length that are whole pages inside the usable ranges";
	default:
		return "";
	}
}

uint32_t accessFlags(DmaAccess access)
{
	switch (access) {
	case DmaAccess::Read:
		return IOMMU_IOAS_MAP_READABLE;
	case DmaAccess::Write:
		return IOMMU_IOAS_MAP_WRITEABLE;
	case DmaAccess::ReadWrite:
		break;
	}
	return IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
}

std::string ioasName(uint32_t id)
{
	return "IOAS " + std::to_string(id);
}

} // namespace

Iommufd::Iommufd(Host &host)
{
	const int fd = host.open("/dev/iommu", O_RDWR);
	if (fd < 0)
		throw Error(-fd, "/dev/iommu", "open",
			    fd == -EACCES   ? "give your user access to it"
			    : fd == -ESTALE ? "the host is that of the process that forked this "
					      "one: open one here"
					    : "load the iommufd module");
	fd_ = HostFd(host, fd);
}

long Iommufd::command(unsigned long request, void *argument) const noexcept
{
	return mark_.own() ? fd_.host().ioctl(fd_.get(), request, argument) : -ESTALE;
}

Ioas Iommufd::allocIoas()
{
	struct iommu_ioas_alloc cmd = {};
	cmd.size = sizeof(cmd);
	if (long error = command(IOMMU_IOAS_ALLOC, &cmd))
		throw Error(static_cast<int>(-error), "/dev/iommu", "make an address space");
	return Ioas(*this, cmd.out_ioas_id);
}

Hwpt Iommufd::allocHwpt(const HwptRequest &request)
{
	struct iommu_hwpt_alloc cmd = {};
	cmd.size = sizeof(cmd);
	cmd.flags = request.flags;
	cmd.dev_id = request.deviceId;
	cmd.pt_id = request.on;
	cmd.data_type = request.dataType;
	cmd.data_len = static_cast<uint32_t>(request.data.size());
	cmd.data_uptr = reinterpret_cast<uintptr_t>(request.data.data());
	cmd.fault_id = request.faultId;
	if (long error = command(IOMMU_HWPT_ALLOC, &cmd))
		throw Error(static_cast<int>(-error),
			    (request.dataType == IOMMU_HWPT_DATA_NONE ? "IOAS " : "HWPT ") +
				    std::to_string(request.on),
			    "make a page table for device " + std::to_string(request.deviceId),
			    error == -EOPNOTSUPP ? "this IOMMU cannot do that" : "");
	return Hwpt(*this, cmd.out_hwpt_id);
}

Hwpt Iommufd::allocHwpt(const Ioas &ioas, uint32_t deviceId, bool pasid)
{
	HwptRequest request;
	request.deviceId = deviceId;
	request.on = ioas.id();
	request.flags = pasid ? IOMMU_HWPT_ALLOC_PASID : 0;
	return allocHwpt(request);
}

HwInfo Iommufd::hwInfo(uint32_t deviceId) const
{
	HwInfo info;
	info.data.resize(256);
	struct iommu_hw_info cmd = {};
	cmd.size = sizeof(cmd);
	cmd.dev_id = deviceId;
	cmd.data_len = static_cast<uint32_t>(info.data.size());
	cmd.data_uptr = reinterpret_cast<uintptr_t>(info.data.data());
	if (long error = command(IOMMU_GET_HW_INFO, &cmd))
		throw Error(static_cast<int>(-error), "device " + std::to_string(deviceId),
			    "ask for its IOMMU");
	info.type = cmd.out_data_type;
	info.maxPasidLog2 = cmd.out_max_pasid_log2;
	info.capabilities = cmd.out_capabilities;
	if (cmd.data_len < info.data.size())
		info.data.resize(cmd.data_len);
	return info;
}

IommufdObject &IommufdObject::operator=(IommufdObject &&other) noexcept
{
	if (this != &other) {
		reset();
		owner_ = std::exchange(other.owner_, nullptr);
		id_ = std::exchange(other.id_, 0);
	}
	return *this;
}

void IommufdObject::reset() noexcept
{
	if (!id_)
		return;
	struct iommu_destroy cmd = {};
	cmd.size = sizeof(cmd);
	cmd.id = std::exchange(id_, 0);
	owner_->command(IOMMU_DESTROY, &cmd);
}

uint64_t Ioas::doMap(const void *address, size_t length, uint64_t iova, uint32_t flags,
		     DmaAccess access)
{
	struct iommu_ioas_map cmd = {};
	cmd.size = sizeof(cmd);
	cmd.flags = flags | accessFlags(access);
	cmd.ioas_id = id();
	cmd.user_va = reinterpret_cast<uintptr_t>(address);
	cmd.length = length;
	cmd.iova = iova;
	if (long error = owner_->command(IOMMU_IOAS_MAP, &cmd)) {
		const bool fixed = flags & IOMMU_IOAS_MAP_FIXED_IOVA;
		throw Error(static_cast<int>(-error), ioasName(id()),
			    "map " + (fixed ? rangeText(iova, length)
					    : std::to_string(length) + " bytes"),
			    mapRemedy(static_cast<int>(-error)));
	}
	return cmd.iova;
}

uint64_t Ioas::map(const void *address, size_t length, DmaAccess access)
{
	return doMap(address, length, 0, 0, access);
}

void Ioas::mapFixed(const void *address, size_t length, uint64_t iova, DmaAccess access)
{
	doMap(address, length, iova, IOMMU_IOAS_MAP_FIXED_IOVA, access);
}

uint64_t Ioas::unmap(uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = {};
	cmd.size = sizeof(cmd);
	cmd.ioas_id = id();
	cmd.iova = iova;
	cmd.length = length;
	if (long error = owner_->command(IOMMU_IOAS_UNMAP, &cmd))
		throw Error(static_cast<int>(-error), ioasName(id()),
			    "unmap " + rangeText(iova, length),
			    error == -ENOENT ? "unmap whole mappings" : "");
	return cmd.length;
}

uint64_t Ioas::unmapAll()
{
	return unmap(0, UINT64_MAX);
}

std::vector<IovaRange> Ioas::ranges(uint64_t *alignment) const
{
	std::vector<struct iommu_iova_range> buffer(16);
	struct iommu_ioas_iova_ranges cmd = {};
	long error;
	do {
		cmd = {};
		cmd.size = sizeof(cmd);
		cmd.ioas_id = id();
		cmd.num_iovas = static_cast<uint32_t>(buffer.size());
		cmd.allowed_iovas = reinterpret_cast<uintptr_t>(buffer.data());
		error = owner_->command(IOMMU_IOAS_IOVA_RANGES, &cmd);
		if (error == -EMSGSIZE)
			buffer.resize(cmd.num_iovas + 16ul);
	} while (error == -EMSGSIZE && buffer.size() < 65536);
	if (error)
		throw Error(static_cast<int>(-error), ioasName(id()), "ask for its ranges");
	if (alignment)
		*alignment = cmd.out_iova_alignment;
	std::vector<IovaRange> result;
	for (uint32_t i = 0; i < cmd.num_iovas && i < buffer.size(); i++)
		result.push_back({buffer[i].start, buffer[i].last});
	return result;
}

} // namespace wd
