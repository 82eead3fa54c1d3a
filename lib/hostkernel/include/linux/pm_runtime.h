/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Power management of devices while the machine runs. A device whose usage count is 0 is suspended
 * soon after, and resumes when somebody gets it.
 *
 * Only PCI functions have it. The bus gets a function for as long as it has a driver, and each
 * function is forbidden to suspend until its driver, or a program, allows it.
 */
#ifndef _LINUX_PM_RUNTIME_H
#define _LINUX_PM_RUNTIME_H

#include <linux/compiler.h>

struct device;

WD_BEGIN_DECLS
/* Count and resume. Return: 0; an error, without a count. May sleep. */
int __must_check pm_runtime_resume_and_get(struct device *dev);

/* As before, but after an error, too, the device is counted. Return: 1 it was active; 0; an error */
int pm_runtime_get_sync(struct device *dev);

/* Resume, without a count. Return: 1 it was active; 0; an error */
int pm_runtime_resume(struct device *dev);

/* Take a count back. A work item suspends the device if that was the last one. */
int pm_runtime_put(struct device *dev);

/* Only count. These may be called in the callbacks of the device. */
void pm_runtime_get_noresume(struct device *dev);
void pm_runtime_put_noidle(struct device *dev);

/* Forbidding is a count that there is at most once. */
void pm_runtime_allow(struct device *dev);
void pm_runtime_forbid(struct device *dev);
WD_END_DECLS

#endif /* _LINUX_PM_RUNTIME_H */
