/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

#include <linux/module.h>

namespace wd::hostkernel
{

/** Set parameters from the environment (WD_PARAM_<module>_<parameter>) and show them in sysfs. */
void moduleParameters();
/**
 * Switch events on or off as WD_TRACE says. Throws if WD_TRACE names a category that does not
 * exist.
 */
void moduleTraces();
/** Run the module's init. @return its result. */
int moduleStart(const wd_module_entry &entry);
void moduleStop(const wd_module_entry &entry);

} // namespace wd::hostkernel
