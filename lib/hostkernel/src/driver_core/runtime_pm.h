/* SPDX-License-Identifier: GPL-2.0-only */
/* The part of runtime power management that buses need. */
#pragma once

struct device;

namespace wd::hostkernel
{

/** Start and stop the work item that suspends devices. */
void runtimePmStart();
void runtimePmStop();

/** From now on @dev can suspend when its driver allows it; it is active and forbidden now. */
void runtimePmEnable(device *dev);

/** No callback of @dev runs any more when this returns. */
void runtimePmDisable(device *dev);

/** "active", "suspended", "resuming" or "suspending"; "unsupported" if @dev does not have it. */
const char *runtimePmStatus(device *dev);

} // namespace wd::hostkernel
