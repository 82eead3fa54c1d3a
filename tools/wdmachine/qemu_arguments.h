/* SPDX-License-Identifier: Apache-2.0 */
/* wdmachine qemu-args: the QEMU arguments that follow from the machine description. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "machine/machine.h"

namespace wdmachine
{

struct GuestOptions {
	std::string directory; /**< of the sockets */
	uint64_t memory;       /**< bytes, of all nodes */
	unsigned cpus;	       /**< of all nodes; 0 = one for each node that has processors */
};

/** A number of bytes with an optional suffix K, M, G or T. @throws std::system_error */
uint64_t parseSize(const std::string &text);

/**
 * Arguments for nodes, memory, bridges and functions. Functions get the addresses of the
 * description.
 * @throws std::system_error (invalid_argument) if QEMU cannot have such a machine.
 */
std::vector<std::string> qemuArguments(const wd::machine::MachineDescription &description,
				       const GuestOptions &options);

} // namespace wdmachine
