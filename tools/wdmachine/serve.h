/* SPDX-License-Identifier: Apache-2.0 */
/* wdmachine serve: serve the machine's functions on sockets until a signal comes. */
#pragma once

#include <string>

#include "machine/machine.h"

namespace wdmachine
{

/** Returns after SIGTERM or SIGINT. @throws std::system_error if it cannot start. */
void serve(const wd::machine::MachineDescription &description, const std::string &directory,
	   bool verbose);

} // namespace wdmachine
