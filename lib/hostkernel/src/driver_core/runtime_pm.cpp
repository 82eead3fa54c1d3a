// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power management of devices while the machine runs. One work item of a freezable queue suspends
 * devices; a caller that gets a device resumes it. One lock is for the state of all devices. Callbacks run
 * without it: while one does, the status keeps others away.
 */
#include "runtime_pm.h"

#include <condition_variable>
#include <list>
#include <mutex>

#include <linux/bug.h>
#include <linux/device.h>
#include <linux/pm.h>
#include <linux/pm_runtime.h>
#include <linux/workqueue.h>

#include "core/immortal.h"

namespace wd::hostkernel
{

namespace
{

using Callback = int (*dev_pm_ops::*)(device *);
using Lock = std::unique_lock<std::mutex>;

std::mutex stateMutex;
Immortal<std::condition_variable> settledObject;
auto &settled = *settledObject;
Immortal<std::list<device *>> idleObject; /* with references */
auto &idle = *idleObject;
work_struct idleWork;

bool isMoving(const device *dev)
{
	return dev->power.wd_status == RPM_SUSPENDING || dev->power.wd_status == RPM_RESUMING;
}

/* Call @which without the lock. The status is @now meanwhile, and @then if it succeeds. */
int move(Lock &lock, device *dev, Callback which, rpm_status now, rpm_status then)
{
	const rpm_status before = dev->power.wd_status;
	const dev_pm_ops *ops = dev->bus ? dev->bus->pm : nullptr;

	dev->power.wd_status = now;
	lock.unlock();
	const int ret = ops && ops->*which ? (ops->*which)(dev) : 0;

	lock.lock();
	dev->power.wd_status = ret ? before : then;
	settled.notify_all();
	return ret;
}

int resume(Lock &lock, device *dev)
{
	settled.wait(lock, [&] { return !isMoving(dev); });
	if (!dev->power.wd_enabled)
		return -EACCES;
	if (dev->power.wd_status == RPM_ACTIVE)
		return 1;
	return move(lock, dev, &dev_pm_ops::runtime_resume, RPM_RESUMING, RPM_ACTIVE);
}

void suspend(Lock &lock, device *dev)
{
	if (!dev->power.wd_enabled || dev->power.wd_usage || dev->power.wd_status != RPM_ACTIVE)
		return;
	if (const int ret =
		    move(lock, dev, &dev_pm_ops::runtime_suspend, RPM_SUSPENDING, RPM_SUSPENDED))
		dev_dbg(dev, "cannot be suspended: error %d\n", ret);
}

void suspendIdle(work_struct *)
{
	Lock lock(stateMutex);

	while (!idle.empty()) {
		device *dev = idle.front();

		idle.pop_front();
		suspend(lock, dev);
		lock.unlock();
		put_device(dev);
		lock.lock();
	}
}

/* With the lock. */
int drop(device *dev)
{
	if (WARN_ON(!dev->power.wd_usage))
		return -EINVAL;
	if (--dev->power.wd_usage || !dev->power.wd_enabled)
		return 0;
	idle.push_back(get_device(dev));
	queue_work(system_freezable_wq, &idleWork);
	return 0;
}

} // namespace

void runtimePmStart()
{
	INIT_WORK(&idleWork, suspendIdle);
}

void runtimePmStop()
{
	flush_work(&idleWork);
}

void runtimePmEnable(device *dev)
{
	const Lock lock(stateMutex);

	dev->power.wd_enabled = true;
	dev->power.wd_forbidden = true;
	dev->power.wd_usage++;
}

void runtimePmDisable(device *dev)
{
	Lock lock(stateMutex);

	dev->power.wd_enabled = false;
	settled.wait(lock, [&] { return !isMoving(dev); });
}

const char *runtimePmStatus(device *dev)
{
	const Lock lock(stateMutex);

	if (!dev->power.wd_enabled)
		return "unsupported";
	switch (dev->power.wd_status) {
	case RPM_ACTIVE:
		return "active";
	case RPM_RESUMING:
		return "resuming";
	case RPM_SUSPENDED:
		return "suspended";
	default:
		return "suspending";
	}
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

int pm_runtime_resume(device *dev)
{
	Lock lock(stateMutex);

	return resume(lock, dev);
}

int pm_runtime_get_sync(device *dev)
{
	Lock lock(stateMutex);

	dev->power.wd_usage++;
	return resume(lock, dev);
}

int pm_runtime_resume_and_get(device *dev)
{
	const int ret = pm_runtime_get_sync(dev);

	if (ret >= 0)
		return 0;
	pm_runtime_put_noidle(dev);
	return ret;
}

int pm_runtime_put(device *dev)
{
	const Lock lock(stateMutex);

	return drop(dev);
}

void pm_runtime_get_noresume(device *dev)
{
	const Lock lock(stateMutex);

	dev->power.wd_usage++;
}

void pm_runtime_put_noidle(device *dev)
{
	const Lock lock(stateMutex);

	if (dev->power.wd_usage)
		dev->power.wd_usage--;
}

void pm_runtime_allow(device *dev)
{
	const Lock lock(stateMutex);

	if (!dev->power.wd_forbidden)
		return;
	dev->power.wd_forbidden = false;
	drop(dev);
}

void pm_runtime_forbid(device *dev)
{
	Lock lock(stateMutex);

	if (dev->power.wd_forbidden)
		return;
	dev->power.wd_forbidden = true;
	dev->power.wd_usage++;
	resume(lock, dev);
}
