/* SPDX-License-Identifier: Apache-2.0 */
/* The first message of a connection: version and capabilities (vfio-user sheet 3.1). */
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace wd::vfio_user
{

/**
 * @body of the client's VERSION command, foreign bytes
 * @reply gets the body of the answer
 * @return 0; EINVAL: malformed; ENOTSUP: a major version that is not spoken here
 */
int negotiate(std::span<const std::byte> body, std::vector<std::byte> &reply);

} // namespace wd::vfio_user
