// SPDX-License-Identifier: GPL-2.0-only
/* Boot and shutdown of the kernel. Shutdown takes the steps of the boot in the opposite order. */
#include <mutex>
#include <system_error>
#include <vector>

#include <linux/kobject.h>
#include <linux/pgtable.h>
#include <linux/platform_device.h>

#include "crypto/crypto.h"
#include "driver_core/device_model.h"
#include "driver_core/power.h"
#include "fork.h"
#include "fs/vfs.h"
#include "hostkernel/kernel.h"
#include "mm/arena.h"
#include "mm/numa.h"
#include "mm/pages.h"
#include "modules.h"
#include "pci/bus_hooks.h"
#include "sched/caller.h"
#include "sched/thread_state.h"

namespace wd::hostkernel
{

void devicesStart();
void busesStart();
void classesStart();

int deviceModelStart()
{
	devicesStart();
	busesStart();
	classesStart();
	platform_bus_type = {};
	platform_bus_type.name = "platform";
	int ret = bus_register(&platform_bus_type);
	if (ret)
		return ret;
	kernel_kobj = kobject_create_and_add("kernel", nullptr);
	return kernel_kobj ? powerStart() : -ENOMEM;
}

void deviceModelStop()
{
	powerStop();
	kobject_put(kernel_kobj);
	kernel_kobj = nullptr;
	if (platform_bus_type.p)
		bus_unregister(&platform_bus_type);
}

namespace
{

std::mutex bootMutex;
bool running;
AllocationCount before;
uint64_t pagesBefore, pageBytesBefore, pinsBefore;

size_t moduleCount()
{
	size_t count = 0;
	if (wd_module_entries)
		while (wd_module_entries[count].name)
			count++;
	return count;
}

void stopModules(size_t count)
{
	while (count--)
		moduleStop(wd_module_entries[count]);
}

[[noreturn]] void fail(int error, const std::string &what)
{
	throw std::system_error(-error, std::generic_category(), what);
}

/* Stop all that the modules depend on. */
void stopCore(bool bus)
{
	if (bus) {
		cryptoStop();
		hostkernel_bus_exit();
	}
	eventfdStop();
	vfsStop();
	deviceModelStop();
	workqueueStop();
	rcuStop();
	SysfsTree::instance().stop();
}

void startCore(const BootConfig &config)
{
	workqueueStart();
	SysfsTree::instance().start(config.sysfsDirectory);
	int ret = deviceModelStart();
	if (!ret)
		ret = vfsStart();
	if (ret) {
		stopCore(false);
		fail(ret, "start of the device model");
	}
	numaStart(config.nodes);
	ret = hostkernel_bus_init(config);
	if (ret) {
		stopCore(false);
		fail(ret, "registration of the PCI functions");
	}
	cryptoStart();
}

} // namespace

void boot(const BootConfig &config)
{
	forkRemember();
	std::lock_guard lock(bootMutex);
	if (running)
		fail(-EBUSY, "boot of a second kernel in one process");
	moduleTraces();
	logClear();
	before = slabAllocations();
	wd_pgtable_levels = config.pageTableLevels;
	pagesBefore = arenaPageAllocations();
	pageBytesBefore = arenaPageBytes();
	pinsBefore = pinnedPagesTotal();
	startCore(config);
	moduleParameters();
	for (size_t i = 0; i < moduleCount(); i++) {
		int ret = moduleStart(wd_module_entries[i]);
		if (ret) {
			stopModules(i);
			stopCore(true);
			fail(ret, std::string("init of module ") + wd_module_entries[i].name);
		}
	}
	SysfsTree::instance().settle();
	running = true;
}

LeakReport shutdown()
{
	std::lock_guard lock(bootMutex);
	LeakReport report;
	if (!running)
		return report;
	callersReleaseAll();
	waitForDelayedReleases();
	report.openFiles = openFileCount();
	stopModules(moduleCount());
	stopCore(true);
	report.pinnedPages = pinnedPagesTotal() - pinsBefore;
	AllocationCount now = slabAllocations();
	report.kernelAllocations =
		now.allocations - before.allocations + arenaPageAllocations() - pagesBefore;
	report.kernelBytes = now.bytes - before.bytes + arenaPageBytes() - pageBytesBefore;
	report.dmaAllocations = hostkernel_bus_dma_allocations();
	report.devices = deviceCount();
	if (report.kernelAllocations)
		slabReport();
	running = false;
	return report;
}

bool booted()
{
	std::lock_guard lock(bootMutex);
	return running;
}

} // namespace wd::hostkernel
