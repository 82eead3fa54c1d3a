/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments for QEMU that give a virtual machine the shape and the functions of a machine. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/machine.h"

namespace wdmachine
{

struct GuestSize {
	uint64_t memoryBytes = uint64_t{2} << 30; /**< of all nodes together */
	unsigned cpus = 0;			  /**< 0: one for each node */
};

/** Name of a function's socket below the folder of sockets. */
std::string socketName(const wd::machine::PciAddress &address);

/**
 * NUMA nodes, memory that the server can see, processors, and one device per function at the
 * description's address: on pcie.0, or behind a root port on a pxb-pcie of the function's node.
 * @throws std::system_error (invalid_argument) for an address or node that QEMU cannot give
 */
std::vector<std::string> qemuArguments(const wd::machine::MachineDescription &machine,
				       const std::string &sockets, const GuestSize &size);

} // namespace wdmachine
