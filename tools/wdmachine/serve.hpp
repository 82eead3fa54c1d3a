/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <string>

#include "machine/machine.h"

namespace wdmachine
{

/**
 * Serve every function of the machine below @sockets until SIGTERM or SIGINT. Prints "ready" when
 * all listen.
 * @return the exit status
 * @throws std::system_error that says which socket could not be made
 */
int serve(const wd::machine::MachineDescription &description, const std::string &sockets,
	  bool verbose);

} // namespace wdmachine
