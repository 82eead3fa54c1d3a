// SPDX-License-Identifier: Apache-2.0
#include "hosted_loader.h"

#include "wd/hosted_host.h"

namespace wd
{

std::shared_ptr<Host> createHosted(const HostOptions &options)
{
	return std::make_shared<HostedHost>(options.machine, options.sysfsDirectory);
}

} // namespace wd
