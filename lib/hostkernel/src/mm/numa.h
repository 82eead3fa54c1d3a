/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

#include <vector>

#include "hostkernel/kernel.h"

namespace wd::hostkernel
{

/** Take over the nodes (none: node 0 alone) and show them in sysfs. */
void numaStart(const std::vector<NodeInfo> &config);

} // namespace wd::hostkernel
