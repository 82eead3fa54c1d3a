/* SPDX-License-Identifier: Apache-2.0 */
/* A hosted kernel with the module of tests: devices, page tables and accesses without hardware. */
#pragma once

#include <cstdint>
#include <gtest/gtest.h>
#include <linux/types.h>
#include <memory>

#include "../iommufd/client.h"
#include "iommufd_abi.h"

namespace kernel_selftest
{

using kernel_iommufd::Buffer;
using kernel_iommufd::Iommufd;
using kernel_iommufd::kFixed;
using kernel_iommufd::kMax;
using kernel_iommufd::kPage;
using kernel_iommufd::kRead;
using kernel_iommufd::kReadWrite;
using wd::hostkernel::Caller;
using wd::hostkernel::Capability;

/** IOMMU_TEST_CMD with operation @op. */
iommu_test_cmd command(uint32_t op, uint32_t id = 0);
int execute(Caller &caller, int iommufd, iommu_test_cmd &cmd);

/** A device of MOCK_DOMAIN that is attached to @pt. @error: 0 or -errno. */
struct MockDevice {
	MockDevice(const Iommufd &iommufd, uint32_t pt, uint32_t flags = 0);
	uint32_t id = 0, hwpt = 0, device = 0;
	int error;
};

/** A file with an access to @ioas; closes it at the end. */
class Access
{
public:
	Access(const Iommufd &iommufd, uint32_t ioas, bool pins = true);
	~Access();
	Access(const Access &) = delete;
	Access &operator=(const Access &) = delete;

	/** 0 or -errno of its creation. */
	int error() const { return error_; }
	int fd() const { return fd_; }
	void close();
	/** Pin; with @memory the pages must be those there. */
	int pin(uint64_t iova, uint64_t length, uint32_t &item, const void *memory = nullptr,
		uint32_t flags = 0) const;
	int unpin(uint32_t item) const;
	int copy(uint64_t iova, void *data, uint64_t length, uint32_t flags = 0) const;
	int replace(uint32_t ioas) const;

private:
	int execute(iommu_test_cmd &cmd) const;

	Caller &caller_;
	const Iommufd &iommufd_;
	int error_;
	int fd_ = -1;
};

class ModuleTest : public ::testing::Test
{
protected:
	ModuleTest();
	~ModuleTest() override;
	void shutdown();
	/** A caller without CAP_IPC_LOCK that may lock @pages pages. */
	static std::shared_ptr<Caller> limited(unsigned uid, uint64_t pages);
};

/** With an open /dev/iommu and an IOAS. */
class AccessTest : public ModuleTest
{
protected:
	static constexpr uint64_t kIova = 0x10000000;

	AccessTest();
	int mapBuffer(const Buffer &buffer, uint64_t iova = kIova,
		      uint32_t flags = kReadWrite) const
	{
		return iommufd_->mapFixed(ioas_, buffer.address(), buffer.size(), iova, flags);
	}
	/** Choose the IOAS for requests of containers of type 1, which unmap parts of mappings. */
	void useType1() const;
	/** VFIO_IOMMU_UNMAP_DMA. */
	int unmapPart(uint64_t iova, uint64_t length) const;
	static uint64_t pinned() { return Caller::self()->pinnedPages(); }

	std::unique_ptr<Iommufd> iommufd_ = std::make_unique<Iommufd>();
	uint32_t ioas_;
};

} // namespace kernel_selftest
