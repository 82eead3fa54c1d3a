/* SPDX-License-Identifier: Apache-2.0 */
/* A hosted kernel with the mock IOMMU and four mock functions. */
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "client.h"
#include "mock.h"

namespace kernel_iommufd
{

class MockFunction;
/** An open /dev/mock<n> of the same caller as the Iommufd. */
class MockDevice
{
public:
	MockDevice(unsigned index, std::shared_ptr<Caller> caller = Caller::self());
	~MockDevice();
	MockDevice(const MockDevice &) = delete;
	MockDevice &operator=(const MockDevice &) = delete;

	unsigned index() const { return index_; }
	uint32_t id() const { return id_; }
	int bind(const Iommufd &iommufd, bool shared = false);
	/** Bind to the caller's descriptor @iommufd. */
	int bindFd(int iommufd, bool shared = false);
	int unbind();
	int attach(uint32_t &pt, uint32_t pasid = 0, bool replace = false);
	int attachTo(uint32_t pt, uint32_t pasid = 0);
	int detach(uint32_t pasid = 0);
	void close();

private:
	std::shared_ptr<Caller> caller_;
	unsigned index_;
	uint32_t id_ = 0;
	int fd_;
};

/** The page table entry of [device, pasid] at @iova, or nothing. */
struct Entry {
	bool present = false;
	uint64_t phys = 0;
	bool read = false, write = false;
	uint64_t pageSize = 0;
};
Entry entryAt(unsigned device, uint64_t iova, unsigned pasid = 0);

/** Boots before each test, shuts down after it, and fails if anything is left. */
class KernelTest : public ::testing::Test
{
protected:
	/** @nest: the mock IOMMU has user-managed tables and page requests. */
	explicit KernelTest(bool nest = false);
	~KernelTest() override;
	/** A caller without CAP_IPC_LOCK that may lock @pages pages. */
	static std::shared_ptr<Caller> limited(unsigned uid, uint64_t pages);
	/** For tests that change the configuration of the mock IOMMU. */
	void reboot();
	void shutdown();

private:
	void boot();
	std::vector<std::unique_ptr<MockFunction>> functions_;
};

/** With a context, an IOAS and a bound device. */
class IoasTest : public KernelTest
{
protected:
	explicit IoasTest(bool nest = false);
	/** Attaches device 0 to the IOAS, which makes a page table. */
	uint32_t attach();

	std::unique_ptr<Iommufd> iommufd_ = std::make_unique<Iommufd>();
	std::unique_ptr<MockDevice> device_ = std::make_unique<MockDevice>(0);
	uint32_t ioas_ = 0;
	~IoasTest() override;
};

constexpr uint32_t kParentFlags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID;

/** With a nesting parent. */
class NestedTest : public IoasTest
{
protected:
	NestedTest();
	/** Send page requests of @device for @count pages, as one group. */
	static mock_verdict request(unsigned pasid, unsigned short grpid, unsigned count = 1,
				    unsigned device = 0, uint64_t address = 0x5000);
	/** Number of answers that the device has got for @grpid. */
	static unsigned answers(unsigned short grpid, int *code = nullptr);
	uint32_t parent_ = 0;
};

} // namespace kernel_iommufd
