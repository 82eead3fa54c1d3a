/* SPDX-License-Identifier: Apache-2.0 */
/* The two kinds of crowd. */
#pragma once

#include <memory>

#include "crowd.h"

namespace wd
{
class HostedHost;
}

namespace wd::soak
{

std::unique_ptr<Crowd> makeHostedCrowd(std::shared_ptr<HostedHost> host);
std::unique_ptr<Crowd> makeNativeCrowd();

/* Users of the crypto API, for the same two hosts. */
void useHostedKernel(User &user);
void useNativeKernel(User &user);

} // namespace wd::soak
