/* SPDX-License-Identifier: GPL-2.0-only */
/* The lock of the buses' lists of devices. */
#pragma once

#include <shared_mutex>

namespace wd::hostkernel
{

/** While the caller has this, no bus gets or loses a device. Drivers' callbacks may run meanwhile. */
std::shared_lock<std::shared_mutex> pciHoldBuses();

} // namespace wd::hostkernel
