/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that a VMM gives to its guest, as far as their DMA goes: something that page tables are
 * attached to. A queue has one address space; a whole function has one for its requester id and one
 * for each PASID.
 */
#pragma once

#include <cstdint>

#include "wd/function.h"
#include "wd/iommufd.h"
#include "wd/queue.h"

namespace wd::vmm
{

/** Thread-safety is the implementation's. */
class Device
{
public:
	virtual ~Device() = default;
	/** Id in the Iommufd that it is bound to. */
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
 * A queue of an accelerator: its PASID is the host driver's choice, and it can have one address
 * space at a time. The queue must outlive it. Thread-bound like the queue.
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
