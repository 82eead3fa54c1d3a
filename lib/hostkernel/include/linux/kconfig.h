/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KCONFIG_H
#define _LINUX_KCONFIG_H

#define __WD_ARG_PLACEHOLDER_1 0,
#define __wd_second(ignored, val, ...) val
#define __wd_defined3(arg1_or_junk) __wd_second(arg1_or_junk 1, 0, 0)
#define __wd_defined2(val) __wd_defined3(__WD_ARG_PLACEHOLDER_##val)
#define __wd_defined(x) __wd_defined2(x)
#define IS_BUILTIN(option) __wd_defined(option)
#define IS_MODULE(option) __wd_defined(option##_MODULE)
#define IS_ENABLED(option) (IS_BUILTIN(option) || IS_MODULE(option))
#define IS_REACHABLE(option) IS_ENABLED(option)

#endif /* _LINUX_KCONFIG_H */
