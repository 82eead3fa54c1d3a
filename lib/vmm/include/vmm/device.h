/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DMA of a device that a VMM gives to its guest: the library attaches page tables to it. A
 * queue has one address space. A whole function has one for its requester id and one for each
 * PASID.
 */
#pragma once

#include <cstdint>

#include "wd/function.h"
#include "wd/iommufd.h"
#include "wd/queue.h"

namespace wd::vmm
{

/** Each implementation says whether it is thread-safe. */
class Device
{
public:
	virtual ~Device() = default;
	/** Its id in the Iommufd to which it is bound. */
	virtual uint32_t id() const noexcept = 0;
	/**
	 * Attach @table, or replace the attachment there.
	 * @param pasid the guest's; 0 = the requester id
	 * @return the PASID in use, 0 for the requester id; page faults carry it
	 * @throws Error: errors of VFIO_DEVICE_ATTACH_IOMMUFD_PT
	 */
	virtual uint32_t attach(const Hwpt &table, uint32_t pasid) = 0;
	/** Undo attach(); @hostPasid is its result. */
	virtual void detach(uint32_t hostPasid) noexcept = 0;
};

/**
 * A queue of an accelerator. The host's driver chooses its PASID, and it has one address space at a
 * time. The queue must outlive it. Thread-bound like the queue.
 */
class QueueDevice final : public Device
{
public:
	/** Binds @queue. @throws Error */
	QueueDevice(Queue &queue, const Iommufd &iommufd);

	uint32_t id() const noexcept override { return id_; }
	uint32_t attach(const Hwpt &table, uint32_t pasid) override;
	void detach(uint32_t hostPasid) noexcept override;

private:
	Queue &queue_;
	uint32_t id_;
};

/** A function that the VMM owns. It must outlive this. Thread-bound like the function. */
class FunctionDevice final : public Device
{
public:
	/** Binds @function. @throws Error */
	FunctionDevice(Function &function, const Iommufd &iommufd);

	uint32_t id() const noexcept override { return function_.deviceId(); }
	uint32_t attach(const Hwpt &table, uint32_t pasid) override;
	void detach(uint32_t hostPasid) noexcept override;

private:
	Function &function_;
};

} // namespace wd::vmm
