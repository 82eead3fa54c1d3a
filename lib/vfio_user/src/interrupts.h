/* SPDX-License-Identifier: Apache-2.0 */
/* Where the client wants a function's interrupts: an eventfd per vector (vfio-user sheet 3.7, 6).
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

/** Thread-safe. Connected to the function while it exists. */
class Interrupts : public machine::InterruptSink
{
public:
	explicit Interrupts(machine::PciFunction &function);
	~Interrupts() override;
	Interrupts(const Interrupts &) = delete;
	Interrupts &operator=(const Interrupts &) = delete;

	/** Vectors of type @index (kIrq...); 0 = the function has none. */
	unsigned count(uint32_t index) const;

	/**
	 * SET_IRQS (3.7): @data is what follows the structure. Takes over what it uses of @fds.
	 * @return 0; EINVAL: anything that the sheet does not define, or a descriptor that is no
	 * eventfd; then nothing has changed
	 */
	int set(const IrqSet &request, std::span<const std::byte> data, std::vector<UniqueFd> &fds);

	/** Never blocks. A vector without eventfd drops the interrupt (6.1). */
	void signal(unsigned vector) noexcept override;

private:
	int setEventFds(const IrqSet &request, std::vector<UniqueFd> &fds);
	void trigger(uint32_t index, unsigned vector) noexcept;

	machine::PciFunction &function_;
	/* Also held while an eventfd is written: after "disable" no number may be used any more. */
	std::mutex mutex_;
	std::array<std::vector<UniqueFd>, kIrqTypes> vectors_;
};

} // namespace wd::vfio_user
