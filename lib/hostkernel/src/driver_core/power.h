/* SPDX-License-Identifier: GPL-2.0-only */
/* The order in which devices sleep and wake. */
#pragma once

#include <functional>

struct device;
struct device_link;

namespace wd::hostkernel
{

/** /sys/power/state; and the reverse. 0 or -errno. */
int powerStart();
void powerStop();

/** A device takes part, after its parent; and no longer, with its links. */
void powerAdd(device *dev);
void powerRemove(device *dev);

/** With the lock of the links held, over which nothing is called. */
void forEachLink(const std::function<void(device_link &)> &visit);

} // namespace wd::hostkernel
