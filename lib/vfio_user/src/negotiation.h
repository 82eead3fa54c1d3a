/* SPDX-License-Identifier: Apache-2.0 */
/* The VERSION message (VFIOUSER-VER-1, VFIOUSER-VER-2). */
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "channel.h"

namespace wd::vfio_user
{

/** The result of a VERSION message. */
struct Negotiation {
	int error = 0;		      /**< errno; not 0 ends the connection */
	std::string problem;	      /**< for the log */
	std::vector<std::byte> reply; /**< body */
};

Negotiation negotiate(const Message &message);

} // namespace wd::vfio_user
