/* SPDX-License-Identifier: Apache-2.0 */
/* A guest with 1 MiB of memory, PASID tables in it, and a virtual IOMMU over a fake kernel. */
#pragma once

#include <gtest/gtest.h>
#include <list>
#include <sys/mman.h>

#include "fake_kernel.h"
#include "vmm/virtual_iommu.h"

namespace test
{

using wd::vmm::Descriptor;
using wd::vmm::GuestPageRequest;
using wd::vmm::VirtualIommu;

constexpr uint64_t kGpa = 0x100000, kGuestSize = 1 << 20;
constexpr uint64_t kDirectoryGpa = kGpa, kTableGpa = kGpa + 0x1000;
constexpr uint16_t kRid = 0x0108;
constexpr uint32_t kHostDevice = 77;

/* Entries and descriptors as a guest's driver writes them. */
constexpr uint64_t kPresent = 1, kFirstStage = 1 << 6, kPassThrough = 4 << 6;

inline Descriptor pasidCache(uint16_t domain, uint32_t pasid)
{
	return {7 | 1 << 4 | uint64_t{domain} << 16 | uint64_t{pasid} << 32};
}
inline Descriptor pasidCacheAll()
{
	return {7 | 3 << 4};
}
inline Descriptor flushPages(uint16_t domain, uint32_t pasid, uint64_t address, unsigned order)
{
	return {6 | 3 << 4 | uint64_t{domain} << 16 | uint64_t{pasid} << 32, address | order};
}
inline Descriptor response(uint32_t pasid, uint16_t group, unsigned code)
{
	return {9 | 1 << 4 | uint64_t{code} << 12 | uint64_t{kRid} << 16 | uint64_t{pasid} << 32,
		uint64_t{group} << 3};
}

class Rig : public testing::Test
{
protected:
	Rig()
	{
		ram_ = static_cast<std::byte *>(::mmap(nullptr, kGuestSize, PROT_READ | PROT_WRITE,
						       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		memory_.add(kGpa, {ram_, kGuestSize});
		EXPECT_TRUE(memory_.store(kDirectoryGpa, kTableGpa | kPresent));
	}
	~Rig() override
	{
		memory_.remove(kGpa);
		::munmap(ram_, kGuestSize);
	}

	void setEntry(uint32_t pasid, uint64_t q0, uint16_t domain = 0, uint64_t q2 = 0)
	{
		const uint64_t at = kTableGpa + pasid * 64;

		EXPECT_TRUE(memory_.store(at + 8, domain));
		EXPECT_TRUE(memory_.store(at + 16, q2));
		EXPECT_TRUE(memory_.store(at, q0));
	}
	/** Write an entry for a first-stage table at @root, and tell the unit, as a guest does. */
	VirtualIommu::Result bind(uint32_t pasid, uint64_t root, uint16_t domain = 1)
	{
		setEntry(pasid, kPresent | kFirstStage, domain, root);
		return iommu_.execute(pasidCache(domain, pasid));
	}
	VirtualIommu::Result unbind(uint32_t pasid, uint16_t domain = 1)
	{
		setEntry(pasid, 0);
		return iommu_.execute(pasidCache(domain, pasid));
	}
	const FakeKernel::Table &tableOf(const FakeDevice &device, uint32_t hostPasid)
	{
		return kernel_.tables.at(device.attached.at(hostPasid));
	}
	size_t nestedTables() const
	{
		return std::count_if(kernel_.tables.begin(), kernel_.tables.end(),
				     [](const auto &item) { return item.second.nested; });
	}

	/** Make a device, which lives longer than the virtual IOMMU. */
	FakeDevice &device(uint32_t id) { return devices_.emplace_back(id); }

	std::list<FakeDevice> devices_;
	FakeKernel kernel_;
	wd::Iommufd iommufd_{kernel_};
	std::byte *ram_;
	wd::vmm::GuestMemory memory_{iommufd_};
	VirtualIommu iommu_{memory_, kHostDevice};
};

} // namespace test
