/* SPDX-License-Identifier: Apache-2.0 */
/* wdmachine serve: the machine's functions on sockets until a signal. */
#pragma once

#include <string>

#include "machine/machine.h"

namespace wdmachine
{

/** Returns when SIGTERM or SIGINT came. @throws std::system_error if it cannot begin. */
void serve(const wd::machine::MachineDescription &description, const std::string &directory,
	   bool verbose);

} // namespace wdmachine
