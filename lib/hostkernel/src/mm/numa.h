/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

#include <vector>

#include "hostkernel/kernel.h"

namespace wd::hostkernel
{

/** Take the nodes from @config, or node 0 alone if it is empty, and show them in sysfs. */
void numaStart(const std::vector<NodeInfo> &config);

} // namespace wd::hostkernel
