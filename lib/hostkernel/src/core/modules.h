/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

#include <linux/module.h>

namespace wd::hostkernel
{

/** Values from the environment, WD_PARAM_<module>_<parameter>. */
void moduleParameters();
/** Events are on or off as WD_TRACE says; throws if that names a category which does not exist. */
void moduleTraces();
/** @return the result of its init. */
int moduleStart(const wd_module_entry &entry);
void moduleStop(const wd_module_entry &entry);

} // namespace wd::hostkernel
