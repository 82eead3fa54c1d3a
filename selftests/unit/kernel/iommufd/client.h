/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that uses /dev/iommu of a hosted kernel: memory, and typed wrappers for every command.
 * Wrappers return 0 or -errno, as the kernel does.
 */
#pragma once

#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/iommufd.h>
#include <memory>
#include <sys/mman.h>
#include <vector>

#include "base/bits.h"
#include "hostkernel/kernel.h"

namespace kernel_iommufd
{

using wd::hostkernel::Caller;
using wd::hostkernel::Capability;
using wd::hostkernel::FailPoint;

constexpr uint64_t kPage = wd::kPageSize;
constexpr uint64_t kMax = ~uint64_t{0};
constexpr uint32_t kRead = IOMMU_IOAS_MAP_READABLE;
constexpr uint32_t kWrite = IOMMU_IOAS_MAP_WRITEABLE;
constexpr uint32_t kFixed = IOMMU_IOAS_MAP_FIXED_IOVA;
constexpr uint32_t kReadWrite = kRead | kWrite;

/** Anonymous memory, at least page aligned, unmapped at the end. */
class Buffer
{
public:
	explicit Buffer(size_t length, size_t alignment = kPage);
	~Buffer();
	Buffer(const Buffer &) = delete;
	Buffer &operator=(const Buffer &) = delete;
	uint64_t address() const { return reinterpret_cast<uint64_t>(data_); }
	uint8_t *data() const { return data_; }
	size_t size() const { return length_; }

private:
	void *base_;
	size_t baseLength_;
	uint8_t *data_;
	size_t length_;
};

/** An open /dev/iommu of a caller. Closes it at the end. */
class Iommufd
{
public:
	explicit Iommufd(std::shared_ptr<Caller> caller = Caller::self());
	~Iommufd();
	Iommufd(const Iommufd &) = delete;
	Iommufd &operator=(const Iommufd &) = delete;

	int fd() const { return fd_; }
	Caller &caller() const { return *caller_; }
	void close();

	long ioctl(unsigned long request, void *argument) const;
	/** The same with a copy of @command that the kernel can read, but not write. */
	template <typename Command>
	long withoutAnswer(unsigned long request, const Command &command) const
	{
		const Buffer page(kPage);

		memcpy(page.data(), &command, sizeof(command));
		EXPECT_EQ(0, mprotect(page.data(), kPage, PROT_READ));
		return ioctl(request, page.data());
	}
	int destroy(uint32_t id) const;
	/** Positive id or -errno. */
	int64_t allocIoas() const;
	int map(uint32_t ioas, uint64_t va, uint64_t length, uint32_t flags, uint64_t &iova) const;
	int mapFixed(uint32_t ioas, uint64_t va, uint64_t length, uint64_t iova,
		     uint32_t flags = kReadWrite) const;
	/** @file is a descriptor of the caller (Caller::importFile()). */
	int mapFile(uint32_t ioas, int file, uint64_t start, uint64_t length, uint64_t iova,
		    uint32_t flags = kReadWrite) const;
	int unmap(uint32_t ioas, uint64_t iova, uint64_t length, uint64_t *done = nullptr) const;
	int copy(uint32_t dst, uint32_t src, uint64_t length, uint64_t srcIova, uint32_t flags,
		 uint64_t &dstIova) const;
	int ranges(uint32_t ioas, std::vector<iommu_iova_range> &out, uint64_t &alignment) const;
	int allow(uint32_t ioas, const std::vector<iommu_iova_range> &ranges) const;
	int option(uint32_t id, uint16_t op, uint32_t object, uint64_t &value) const;
	int hwpt(uint32_t dev, uint32_t pt, uint32_t flags, uint32_t &id) const;
	/** A VT-d first-stage table at @root of the parent; faults go to @fault unless it is 0. */
	int nested(uint32_t dev, uint32_t parent, uint64_t root, uint32_t &id, uint32_t flags = 0,
		   uint32_t fault = 0) const;
	/** @number is input and output. */
	int invalidate(uint32_t hwpt, const void *entries, uint32_t length, uint32_t &number,
		       uint32_t type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1) const;

private:
	std::shared_ptr<Caller> caller_;
	int fd_;
};

/** A fault queue with its file. Its destructor closes the file; the iommufd object stays. */
class FaultQueue
{
public:
	explicit FaultQueue(const Iommufd &iommufd);
	~FaultQueue();
	FaultQueue(const FaultQueue &) = delete;
	FaultQueue &operator=(const FaultQueue &) = delete;

	uint32_t id() const { return id_; }
	int fd() const { return fd_; }
	void close();
	/** Read up to @number records. @return bytes or -errno. */
	ssize_t read(iommu_hwpt_pgfault *records, size_t number) const;
	/** 0 or -errno. */
	int answer(uint32_t cookie, uint32_t code = IOMMUFD_PAGE_RESP_SUCCESS) const;
	bool readable() const;
	/** Waits for records. */
	bool waitReadable(int timeoutMs) const;

private:
	Caller &caller_;
	uint32_t id_ = 0;
	int fd_ = -1;
};

} // namespace kernel_iommufd
