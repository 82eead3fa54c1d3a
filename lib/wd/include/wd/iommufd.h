/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/iommu: address spaces (IOAS) and page tables (HWPT) as owned objects. Every function is one
 * ioctl of <linux/iommufd.h>; nothing is cached.
 *
 * Order of destruction: queues detach before their Hwpt goes, a Hwpt goes before its Ioas, and all
 * of them before the Iommufd. Members of a class in the order Iommufd, Ioas, Hwpt, Queue do that.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/process_mark.h"
#include "wd/any_host.h"
#include "wd/error.h"

namespace wd
{

class Iommufd;

/** Inclusive range of I/O virtual addresses. */
struct IovaRange {
	uint64_t start = 0, last = 0;
	friend bool operator==(const IovaRange &, const IovaRange &) = default;
};

/** Rights of a device on mapped memory. */
enum class DmaAccess : uint32_t { Read, Write, ReadWrite };

/** The result of IOMMU_GET_HW_INFO. */
struct HwInfo {
	uint32_t type = 0;	     /**< enum iommu_hw_info_type */
	unsigned maxPasidLog2 = 0;   /**< width of the device's PASID space, 0 = none */
	uint64_t capabilities = 0;   /**< enum iommufd_hw_capabilities */
	std::vector<std::byte> data; /**< type specific */
};

/** An object id of an Iommufd, destroyed with its owner. Thread-bound. Base of Ioas and Hwpt. */
class IommufdObject
{
public:
	IommufdObject() = default;
	IommufdObject(IommufdObject &&other) noexcept
		: owner_(std::exchange(other.owner_, nullptr)),
		  id_(std::exchange(other.id_, 0))
	{
	}
	IommufdObject &operator=(IommufdObject &&other) noexcept;
	~IommufdObject() { reset(); }

	uint32_t id() const noexcept { return id_; }
	explicit operator bool() const noexcept { return id_ != 0; }
	/** Destroy the object now. If it is in use, it stays until its Iommufd is closed. */
	void reset() noexcept;

protected:
	IommufdObject(const Iommufd &owner, uint32_t id) noexcept : owner_(&owner), id_(id) {}
	const Iommufd *owner_ = nullptr;
	uint32_t id_ = 0;
};

/** An I/O address space. ioctls on it are thread-safe; the object itself is thread-bound. */
class Ioas : public IommufdObject
{
public:
	Ioas() = default;

	/**
	 * Map [@address, +@length) at an IOVA that the kernel chooses.
	 * @return IOVA of @address
	 * @throws Error: EFAULT not mapped in the process, ENOMEM over RLIMIT_MEMLOCK, ENOSPC, ...
	 */
	uint64_t map(const void *address, size_t length, DmaAccess access);
	/** Map at @iova. @throws Error: also EEXIST if something is mapped there already. */
	void mapFixed(const void *address, size_t length, uint64_t iova, DmaAccess access);
	/**
	 * Remove every mapping that lies in [@iova, +@length). When it returns, no device reaches
	 * the memory. @return bytes unmapped. @throws Error: ENOENT if there is no mapping, or if
	 * one lies only partly in the range.
	 */
	uint64_t unmap(uint64_t iova, uint64_t length);
	/** Remove every mapping. @return bytes unmapped. */
	uint64_t unmapAll();
	/** Usable ranges, ascending. @param alignment if not null: receives the alignment of
	 * mappings */
	std::vector<IovaRange> ranges(uint64_t *alignment = nullptr) const;

private:
	friend class Iommufd;
	using IommufdObject::IommufdObject;
	uint64_t doMap(const void *address, size_t length, uint64_t iova, uint32_t flags,
		       DmaAccess access);
};

/** Fields of IOMMU_HWPT_ALLOC (<linux/iommufd.h>). */
struct HwptRequest {
	uint32_t deviceId = 0;		 /**< the table is for its IOMMU */
	uint32_t on = 0;		 /**< id of an Ioas, or of a parent Hwpt */
	uint32_t flags = 0;		 /**< enum iommufd_hwpt_alloc_flags */
	uint32_t dataType = 0;		 /**< enum iommu_hwpt_data_type */
	std::span<const std::byte> data; /**< data of that type */
	uint32_t faultId = 0;		 /**< used only with flag IOMMU_HWPT_FAULT_ID_VALID */
};

/** A page table for one IOMMU: kernel-managed (a copy of its Ioas), or nested on such a table. */
class Hwpt : public IommufdObject
{
public:
	Hwpt() = default;

private:
	friend class Iommufd;
	using IommufdObject::IommufdObject;
};

/**
 * An open /dev/iommu. Calls are thread-safe. Its objects point to it, so it cannot be moved.
 */
class Iommufd
{
public:
	/** @throws Error: ENOENT if the host has no /dev/iommu, EACCES. @host must outlive this. */
	explicit Iommufd(Host &host);
	/**
	 * Use a descriptor that another process opened and sent (SCM_RIGHTS). That process also
	 * sends the ids of its objects.
	 */
	explicit Iommufd(HostFd fd) noexcept : fd_(std::move(fd)) {}
	Iommufd(const Iommufd &) = delete;
	Iommufd &operator=(const Iommufd &) = delete;

	Host &host() const noexcept { return fd_.host(); }
	int fd() const noexcept { return fd_.get(); }

	Ioas allocIoas();
	/**
	 * A kernel-managed page table over @ioas for the IOMMU of device @deviceId (Queue::bind()).
	 * @param pasid the table can be attached at PASIDs
	 * @throws Error: EOPNOTSUPP if the IOMMU cannot do that
	 */
	Hwpt allocHwpt(const Ioas &ioas, uint32_t deviceId, bool pasid = true);
	/** Any page table: IOMMU_HWPT_ALLOC as it is. wd/nesting.h has the usual ones. */
	Hwpt allocHwpt(const HwptRequest &request);
	HwInfo hwInfo(uint32_t deviceId) const;

	/**
	 * Any other ioctl. The struct begins with its size or argsz.
	 * @return -errno; -ESTALE in a child of the process that opened this
	 */
	long command(unsigned long request, void *argument) const noexcept;

private:
	HostFd fd_;
	ProcessMark mark_;
};

} // namespace wd
