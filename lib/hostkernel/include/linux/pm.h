/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Power management of devices: callbacks for sleep of the whole machine, and for a device that
 * nobody uses (linux/pm_runtime.h). hostkernel::systemSleep() puts the machine to sleep.
 */
#ifndef _LINUX_PM_H
#define _LINUX_PM_H

#include <linux/types.h>

struct device;

/* Every device is resumed before the machine sleeps, so the hosted kernel needs no such flag. */
#define DPM_FLAG_NO_DIRECT_COMPLETE (1U << 0)

enum rpm_status { RPM_ACTIVE, RPM_RESUMING, RPM_SUSPENDED, RPM_SUSPENDING };

/* struct dev_pm_info - what the device core knows of the power of a device */
struct dev_pm_info {
	u32 driver_flags;
	unsigned int wd_usage;
	enum rpm_status wd_status;
	bool wd_enabled;
	bool wd_forbidden;
};

/**
 * struct dev_pm_ops - callbacks of a bus, or of a driver
 *
 * When the machine goes to sleep, a device's callback runs after those of all devices that depend
 * on it (children, consumers of its links); at wake-up it runs before theirs. Interrupts are off in
 * the noirq callbacks. The hosted kernel does not hibernate, so it calls only the callbacks for
 * suspend and resume.
 */
struct dev_pm_ops {
	int (*prepare)(struct device *dev);
	void (*complete)(struct device *dev);
	int (*suspend)(struct device *dev);
	int (*resume)(struct device *dev);
	int (*freeze)(struct device *dev);
	int (*thaw)(struct device *dev);
	int (*poweroff)(struct device *dev);
	int (*restore)(struct device *dev);
	int (*suspend_late)(struct device *dev);
	int (*resume_early)(struct device *dev);
	int (*freeze_late)(struct device *dev);
	int (*thaw_early)(struct device *dev);
	int (*poweroff_late)(struct device *dev);
	int (*restore_early)(struct device *dev);
	int (*suspend_noirq)(struct device *dev);
	int (*resume_noirq)(struct device *dev);
	int (*freeze_noirq)(struct device *dev);
	int (*thaw_noirq)(struct device *dev);
	int (*poweroff_noirq)(struct device *dev);
	int (*restore_noirq)(struct device *dev);
	int (*runtime_suspend)(struct device *dev);
	int (*runtime_resume)(struct device *dev);
	int (*runtime_idle)(struct device *dev);
};

#define pm_ptr(_ptr) (_ptr)
#define pm_sleep_ptr(_ptr) (_ptr)

#define SYSTEM_SLEEP_PM_OPS(suspend_fn, resume_fn)                              \
	.suspend = (suspend_fn), .resume = (resume_fn), .freeze = (suspend_fn), \
	.thaw = (resume_fn), .poweroff = (suspend_fn), .restore = (resume_fn),

#define NOIRQ_SYSTEM_SLEEP_PM_OPS(suspend_fn, resume_fn)                                          \
	.suspend_noirq = (suspend_fn), .resume_noirq = (resume_fn), .freeze_noirq = (suspend_fn), \
	.thaw_noirq = (resume_fn), .poweroff_noirq = (suspend_fn), .restore_noirq = (resume_fn),

#define RUNTIME_PM_OPS(suspend_fn, resume_fn, idle_fn) \
	.runtime_suspend = (suspend_fn), .runtime_resume = (resume_fn), .runtime_idle = (idle_fn),

#define DEFINE_SIMPLE_DEV_PM_OPS(name, suspend_fn, resume_fn) \
	const struct dev_pm_ops name = {SYSTEM_SLEEP_PM_OPS(suspend_fn, resume_fn)}

#endif /* _LINUX_PM_H */
