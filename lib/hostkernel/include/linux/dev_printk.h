/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_DEV_PRINTK_H
#define _LINUX_DEV_PRINTK_H

#include <linux/compiler.h>
#include <linux/printk.h>

struct device;

WD_BEGIN_DECLS
__printf(3, 4) void _dev_printk(const char *level, const struct device *dev, const char *fmt, ...);
WD_END_DECLS

#ifndef dev_fmt
#define dev_fmt(fmt) fmt
#endif
#define dev_err(dev, fmt, ...) _dev_printk(KERN_ERR, dev, dev_fmt(fmt), ##__VA_ARGS__)
#define dev_warn(dev, fmt, ...) _dev_printk(KERN_WARNING, dev, dev_fmt(fmt), ##__VA_ARGS__)
#define dev_info(dev, fmt, ...) _dev_printk(KERN_INFO, dev, dev_fmt(fmt), ##__VA_ARGS__)
#define dev_dbg(dev, fmt, ...)                                                     \
	({                                                                         \
		if (0)                                                             \
			_dev_printk(KERN_DEBUG, dev, dev_fmt(fmt), ##__VA_ARGS__); \
	})
#define dev_err_ratelimited(dev, fmt, ...) wd_ratelimited(dev_err(dev, fmt, ##__VA_ARGS__))
#define dev_warn_ratelimited(dev, fmt, ...) wd_ratelimited(dev_warn(dev, fmt, ##__VA_ARGS__))
#define dev_err_once(dev, fmt, ...) wd_only_once(dev_err(dev, fmt, ##__VA_ARGS__))

#endif /* _LINUX_DEV_PRINTK_H */
