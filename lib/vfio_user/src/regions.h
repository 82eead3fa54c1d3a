/* SPDX-License-Identifier: Apache-2.0 */
/* A function's BARs and configuration space as numbered regions (vfio-user sheet 3.5, 3.8, 7). */
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "machine/pci_function.h"
#include "vfio_user/protocol.h"

namespace wd::vfio_user
{

/** Reentrant: no state but the function, which is thread-safe. */
class Regions
{
public:
	explicit Regions(machine::PciFunction &function) : function_(function) {}

	/** Bytes of region @index; 0 = not implemented. */
	uint64_t size(uint32_t index) const;

	/**
	 * The part of region @index, from its beginning, that a client may map. length 0: none.
	 * The same memory serves accesses by message.
	 */
	machine::SharedPages mappable(uint32_t index) const;

	/**
	 * Any length, in naturally aligned pieces of at most 8 bytes (4 in configuration space).
	 * @return 0, or EINVAL if the region has not all of these bytes: then nothing happened
	 */
	int read(uint32_t index, uint64_t offset, std::span<std::byte> out);
	int write(uint32_t index, uint64_t offset, std::span<const std::byte> in);

private:
	bool covers(uint32_t index, uint64_t offset, uint64_t count) const;

	machine::PciFunction &function_;
};

} // namespace wd::vfio_user
