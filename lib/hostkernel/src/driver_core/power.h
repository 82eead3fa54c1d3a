/* SPDX-License-Identifier: GPL-2.0-only */
/* The order in which devices sleep and wake. */
#pragma once

#include <functional>

struct device;
struct device_link;

namespace wd::hostkernel
{

/** Make /sys/power/state, and remove it. 0 or -errno. */
int powerStart();
void powerStop();

/** Add @dev at the end of the order, after its parent; remove it together with its links. */
void powerAdd(device *dev);
void powerRemove(device *dev);

/** Call @visit for each link, with the lock of the links held. @visit must take no other lock. */
void forEachLink(const std::function<void(device_link &)> &visit);

} // namespace wd::hostkernel
