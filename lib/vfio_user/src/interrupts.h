/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The eventfds of a client, per interrupt type and vector (VFIOUSER-IRQ-1), and the mask of the
 * interrupt pin.
 */
#pragma once

#include <array>
#include <mutex>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "machine/pci_function.h"
#include "vfio_user/protocol.h"

namespace wd::vfio_user
{

/** Thread-safe: engine threads signal while the connection's thread changes vectors. */
class Interrupts final : public machine::InterruptSink, public machine::PinSink
{
public:
	explicit Interrupts(const machine::PciFunction &function);

	/** Vectors of type @index; 0 for types that the function does not have. */
	uint32_t count(uint32_t index) const;

	/**
	 * Carry out DEVICE_SET_IRQS, with the @data after its fixed part. Takes the descriptors
	 * that it needs from @fds.
	 * @return 0 or an errno; on error nothing has changed
	 */
	int set(const IrqSet &request, std::span<const std::byte> data, std::vector<UniqueFd> &fds);

	/** Drops the message if the client gave no eventfd for @vector. Never blocks. */
	void signal(unsigned vector) noexcept override;
	/** The line of the function's pin. Never blocks. */
	void pinChanged(bool asserted) noexcept override;

private:
	int setEventFds(const IrqSet &request, std::vector<UniqueFd> &fds);
	int trigger(const IrqSet &request, std::span<const std::byte> data);
	int maskPin(const IrqSet &request, std::span<const std::byte> data);
	void raisePin() noexcept;
	void disable(uint32_t index);

	mutable std::mutex mutex_;
	std::array<std::vector<UniqueFd>, kIrqTypes> vectors_;
	bool pinAsserted_ = false, pinMasked_ = false;
};

} // namespace wd::vfio_user
