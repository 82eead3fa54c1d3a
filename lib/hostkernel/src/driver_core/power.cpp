// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sleep, wake-up and shutdown of the machine. One list has all devices; each comes after its parent
 * and after the suppliers of its links. Waking goes forward through the list, going to sleep and
 * shutting down go backwards. Callbacks run without the lock of the list: they work on a snapshot
 * that holds references.
 */
#include "power.h"

#include <algorithm>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include <linux/bug.h>
#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/pm.h>
#include <linux/pm_runtime.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "core/immortal.h"
#include "hostkernel/kernel.h"
#include "pci/bus_hooks.h"
#include "pci/irq_lines.h"
#include "runtime_pm.h"
#include "sched/freezer.h"

namespace wd::hostkernel
{

namespace
{

using Callback = int (*dev_pm_ops::*)(device *);

struct Phase {
	Callback down, up;
	bool locked; /* hold the device's lock, so that no driver comes or goes */
	bool quiet;  /* interrupts are off */
};

constexpr Phase kPhases[] = {
	{&dev_pm_ops::suspend, &dev_pm_ops::resume, true, false},
	{&dev_pm_ops::suspend_late, &dev_pm_ops::resume_early, false, false},
	{&dev_pm_ops::suspend_noirq, &dev_pm_ops::resume_noirq, false, true},
};

std::mutex orderMutex; /* the list and the links */
Immortal<std::list<device *>> orderObject;
auto &order = *orderObject;
Immortal<std::list<device_link>> linksObject;
auto &links = *linksObject;
std::mutex transitionMutex; /* one sleep at a time */

/*
 * Whether @dev is @other, a descendant of it, or a consumer of such a device. The caller holds
 * orderMutex.
 */
bool dependsOn(const device *dev, const device *other)
{
	if (dev == other || (dev->parent && dependsOn(dev->parent, other)))
		return true;
	return std::any_of(links.begin(), links.end(), [&](const device_link &link) {
		return link.consumer == dev && dependsOn(link.supplier, other);
	});
}

/*
 * Move @dev and all devices that depend on it to the end, in the order that they have now. The
 * caller holds orderMutex.
 */
void moveLast(device *dev)
{
	std::list<device *> moved;

	for (auto it = order.begin(); it != order.end();) {
		auto next = std::next(it);

		if (dependsOn(*it, dev))
			moved.splice(moved.end(), order, it);
		it = next;
	}
	order.splice(order.end(), moved);
}

std::list<device_link>::iterator findLink(const void *consumer, const device *supplier)
{
	return std::find_if(links.begin(), links.end(), [&](const device_link &link) {
		return link.consumer == consumer && link.supplier == supplier;
	});
}

/** All devices of this moment, with references for as long as the object lives. */
class Snapshot
{
public:
	Snapshot()
	{
		std::lock_guard lock(orderMutex);

		for (device *dev : order)
			devices_.push_back(get_device(dev));
	}
	~Snapshot()
	{
		for (device *dev : devices_)
			put_device(dev);
	}
	Snapshot(const Snapshot &) = delete;
	Snapshot &operator=(const Snapshot &) = delete;
	/** No device suspends by itself between these. */
	void keepActive() const
	{
		for (device *dev : devices_)
			pm_runtime_get_noresume(dev);
	}
	void letSuspend() const
	{
		for (device *dev : devices_)
			pm_runtime_put(dev);
	}
	size_t size() const { return devices_.size(); }
	device *operator[](size_t index) const { return devices_[index]; }

private:
	std::vector<device *> devices_;
};

int run(device *dev, Callback which, bool locked)
{
	if (locked)
		device_lock(dev);
	const dev_pm_ops *ops = dev->bus && dev->bus->pm ? dev->bus->pm
				: dev->driver		 ? dev->driver->pm
							 : nullptr;
	const int ret = ops && ops->*which ? (ops->*which)(dev) : 0;

	if (locked)
		device_unlock(dev);
	return ret;
}

/* Wake the devices that had gone to sleep: all from index @from on. */
void up(const Snapshot &devices, const Phase &phase, size_t from)
{
	for (size_t i = from; i < devices.size(); i++)
		if (const int ret = run(devices[i], phase.up, phase.locked))
			dev_err(devices[i], "PM: failed to resume: error %d\n", ret);
	if (phase.quiet)
		irqsResume();
}

int down(const Snapshot &devices, const Phase &phase)
{
	if (phase.quiet)
		irqsSuspend();
	for (size_t i = devices.size(); i--;) {
		const int ret = run(devices[i], phase.down, phase.locked);

		if (!ret)
			continue;
		dev_err(devices[i], "PM: failed to suspend: error %d\n", ret);
		up(devices, phase, i + 1);
		return ret;
	}
	return 0;
}

int sleepAndWake(const std::function<void()> &asleep)
{
	const Snapshot devices;
	size_t done = 0;
	int ret = 0;

	devices.keepActive();
	while (!ret && done < std::size(kPhases)) {
		ret = down(devices, kPhases[done]);
		done += !ret;
	}
	if (!ret) {
		hostkernel_bus_power_cycle();
		if (asleep)
			asleep();
	}
	while (done--)
		up(devices, kPhases[done], 0);
	devices.letSuspend();
	return ret;
}

/* --- /sys/power --- */

kobject *directory;

ssize_t showState(kobject *, kobj_attribute *, char *buf)
{
	return sysfs_emit(buf, "mem\n");
}

/* The machine wakes at once, since nothing could wake it later. */
ssize_t storeState(kobject *, kobj_attribute *, const char *buf, size_t count)
{
	if (!sysfs_streq(buf, "mem"))
		return -EINVAL;
	const int ret = systemSleep();

	return ret ? ret : static_cast<ssize_t>(count);
}

kobj_attribute stateAttribute = {{"state", 0644}, showState, storeState};

} // namespace

int powerStart()
{
	runtimePmStart();
	directory = kobject_create_and_add("power", nullptr);
	return directory ? sysfs_create_file(directory, &stateAttribute.attr) : -ENOMEM;
}

void powerStop()
{
	runtimePmStop();
	kobject_put(directory);
	directory = nullptr;
}

void powerAdd(device *dev)
{
	std::lock_guard lock(orderMutex);

	if (dev->wd_no_pm)
		return;
	order.push_back(dev);
}

void powerRemove(device *dev)
{
	std::lock_guard lock(orderMutex);

	order.remove(dev);
	links.remove_if([&](const device_link &link) {
		return link.consumer == dev || link.supplier == dev;
	});
}

int systemSleep(const std::function<void()> &asleep)
{
	const UserPause pause;
	std::lock_guard transition(transitionMutex);

	if (!freezeUsers())
		return -EBUSY;
	const int ret = freezeWork() ? sleepAndWake(asleep) : -EBUSY;

	thawWork();
	thawUsers();
	return ret;
}

void systemShutdown()
{
	std::lock_guard transition(transitionMutex);
	const Snapshot devices;

	devices.keepActive();
	for (size_t i = devices.size(); i--;) {
		device *dev = devices[i];

		device_lock(dev);
		if (dev->bus && dev->bus->shutdown)
			dev->bus->shutdown(dev);
		else if (dev->driver && dev->driver->shutdown)
			dev->driver->shutdown(dev);
		device_unlock(dev);
	}
	devices.letSuspend();
}

void forEachLink(const std::function<void(device_link &)> &visit)
{
	std::lock_guard lock(orderMutex);

	for (device_link &link : links)
		visit(link);
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

device_link *device_link_add(device *consumer, device *supplier, u32 flags)
{
	std::lock_guard lock(orderMutex);

	if (!consumer || !supplier || !device_is_registered(supplier) ||
	    dependsOn(supplier, consumer) ||
	    (flags != DL_FLAG_STATELESS && flags & ~DL_FLAG_AUTOPROBE_CONSUMER))
		return nullptr;
	if (flags != DL_FLAG_STATELESS)
		flags |= DL_FLAG_MANAGED;
	auto link = findLink(consumer, supplier);

	if (link != links.end()) {
		/* A managed link counts once. */
		link->wd_references += !(link->flags & flags & DL_FLAG_MANAGED);
		link->flags |= flags;
		return &*link;
	}
	links.push_back({supplier, consumer, flags, 1, false});
	moveLast(consumer);
	return &links.back();
}

void device_link_remove(void *consumer, device *supplier)
{
	std::lock_guard lock(orderMutex);
	auto link = findLink(consumer, supplier);

	if (link == links.end() || WARN_ON(!(link->flags & DL_FLAG_STATELESS)))
		return;
	if (!--link->wd_references)
		links.erase(link);
}
