// SPDX-License-Identifier: Apache-2.0
/* Devices, buses, classes, sysfs in memory and as a directory, nodes, modules. */
#include <atomic>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <system_error>
#include <thread>
#include <unistd.h>

#include <hosted/test_hooks.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "../../../../common/asleep.h"
#include "booted.h"

using namespace wd::hostkernel;

namespace
{

/* --- modules of this program --- */

std::vector<std::string> moduleEvents;
int secondResult;
module first{MODULE_STATE_LIVE, "first", {0}}, second{MODULE_STATE_LIVE, "second", {0}};
bool modulesWanted;

} // namespace

extern "C" const wd_module_entry wd_module_entries[] = {
	{"first", &first,
	 [] {
		 if (modulesWanted)
			 moduleEvents.push_back("+first");
		 return 0;
	 },
	 [] {
		 if (modulesWanted)
			 moduleEvents.push_back("-first");
	 }},
	{"second", &second,
	 [] {
		 if (modulesWanted)
			 moduleEvents.push_back("+second");
		 return modulesWanted ? secondResult : 0;
	 },
	 [] {
		 if (modulesWanted)
			 moduleEvents.push_back("-second");
	 }},
	{nullptr, nullptr, nullptr, nullptr},
};

namespace
{

TEST(Boot, ModulesStartInOrderAndStopInReverse)
{
	moduleEvents.clear();
	modulesWanted = true;
	secondResult = 0;
	EXPECT_FALSE(booted());
	boot({});
	EXPECT_TRUE(booted());
	EXPECT_THROW(boot({}), std::system_error);
	EXPECT_TRUE(shutdown().clean());
	EXPECT_EQ(moduleEvents,
		  (std::vector<std::string>{"+first", "+second", "-second", "-first"}));
	moduleEvents.clear();
	secondResult = -EIO;
	try {
		boot({});
		ADD_FAILURE();
	} catch (const std::system_error &error) {
		EXPECT_EQ(error.code().value(), EIO);
		EXPECT_NE(std::string(error.what()).find("second"), std::string::npos);
	}
	EXPECT_EQ(moduleEvents, (std::vector<std::string>{"+first", "+second", "-first"}));
	EXPECT_FALSE(booted());
	modulesWanted = false;
}

/* --- a bus with a driver --- */

std::vector<std::string> events;

struct Bus {
	bus_type bus{};
	device_driver driver{};
	notifier_block notifier{};
	int probeResult = 0;
} fixture;

int notify(notifier_block *, unsigned long action, void *)
{
	events.push_back(fmt::format("n{}", action));
	return NOTIFY_OK;
}

void freeDevice(device *dev)
{
	events.push_back("release");
	kfree(dev);
}

device *newDevice(const char *name)
{
	auto *dev = static_cast<device *>(kzalloc(sizeof(device), GFP_KERNEL));
	device_initialize(dev);
	dev->release = freeDevice;
	dev->bus = &fixture.bus;
	EXPECT_EQ(dev_set_name(dev, "%s", name), 0);
	return dev;
}

class DeviceTest : public BootedTest
{
protected:
	void SetUp() override
	{
		directory_ = std::filesystem::temp_directory_path() /
			     fmt::format("hostkernel-test-{}", getpid());
		std::filesystem::create_directories(directory_);
		config_.sysfsDirectory = directory_;
		config_.nodes = {{0, {0, 1, 2, 5}, 1ull << 30, "DRAM", {10, 21}},
				 {1, {}, 1ull << 34, "HBM", {21, 10}}};
		BootedTest::SetUp();
		fixture = {};
		fixture.bus.name = "testbus";
		fixture.bus.probe = [](device *dev) {
			events.push_back("probe");
			return fixture.probeResult;
		};
		fixture.bus.remove = [](device *) { events.push_back("remove"); };
		fixture.bus.dma_configure = [](device *) {
			events.push_back("dma");
			return 0;
		};
		fixture.bus.dma_cleanup = [](device *) { events.push_back("nodma"); };
		fixture.driver.name = "testdriver";
		fixture.driver.bus = &fixture.bus;
		fixture.notifier.notifier_call = notify;
		ASSERT_EQ(bus_register(&fixture.bus), 0);
		ASSERT_EQ(bus_register_notifier(&fixture.bus, &fixture.notifier), 0);
		events.clear();
	}
	void TearDown() override
	{
		bus_unregister(&fixture.bus);
		BootedTest::TearDown();
		EXPECT_TRUE(std::filesystem::is_empty(directory_));
		std::filesystem::remove_all(directory_);
	}
	std::string read(const std::string &path)
	{
		std::string text;
		EXPECT_EQ(sysfsRead(path, text), 0) << path;
		return text;
	}
	std::filesystem::path directory_;
};

TEST_F(DeviceTest, BindsAndUnbindsWithNotifications)
{
	device *dev = newDevice("d0");
	ASSERT_EQ(device_add(dev), 0);
	ASSERT_EQ(driver_register(&fixture.driver), 0);
	EXPECT_EQ(events, (std::vector<std::string>{"n1", "dma", "n4", "probe", "n5"}));
	EXPECT_TRUE(device_is_bound(dev));
	EXPECT_STREQ(dev_driver_string(dev), "testdriver");
	std::string path;
	EXPECT_EQ(sysfsResolve("/sys/bus/testbus/devices/d0/driver", path), 0);
	EXPECT_EQ(path, "/sys/bus/testbus/drivers/testdriver");
	events.clear();
	EXPECT_EQ(sysfsWrite("/sys/bus/testbus/drivers/testdriver/unbind", "d0\n"), 0);
	EXPECT_EQ(events, (std::vector<std::string>{"n6", "remove", "nodma", "n7"}));
	EXPECT_EQ(sysfsWrite("/sys/bus/testbus/drivers/testdriver/unbind", "d0"), -ENODEV);
	events.clear();
	EXPECT_EQ(sysfsWrite("/sys/bus/testbus/drivers/testdriver/bind", "d0"), 0);
	EXPECT_EQ(sysfsWrite("/sys/bus/testbus/drivers/testdriver/bind", "d0"), -EBUSY);
	driver_unregister(&fixture.driver);
	events.clear();
	device_unregister(dev);
	EXPECT_EQ(events, (std::vector<std::string>{"n2", "n3", "release"}));
}

TEST_F(DeviceTest, AFailedProbeUndoesEverything)
{
	fixture.probeResult = -EIO;
	ASSERT_EQ(driver_register(&fixture.driver), 0);
	device *dev = newDevice("d0");
	ASSERT_EQ(device_add(dev), 0);
	EXPECT_EQ(events, (std::vector<std::string>{"n1", "dma", "n4", "probe", "nodma", "n8"}));
	EXPECT_FALSE(device_is_bound(dev));
	EXPECT_EQ(kernelLog().size(), 1u);
	std::string path;
	EXPECT_EQ(sysfsResolve("/sys/bus/testbus/devices/d0/driver", path), -ENOENT);
	device_unregister(dev);
	driver_unregister(&fixture.driver);
}

TEST_F(DeviceTest, NamesAreUnique)
{
	device *dev = newDevice("d0"), *twin = newDevice("d0");
	ASSERT_EQ(device_add(dev), 0);
	EXPECT_EQ(device_add(twin), -EEXIST);
	put_device(twin);
	EXPECT_EQ(bus_find_device_by_name(&fixture.bus, nullptr, "d1"), nullptr);
	device *found = bus_find_device_by_name(&fixture.bus, nullptr, "d0");
	EXPECT_EQ(found, dev);
	put_device(found);
	device_unregister(dev);
}

/* The probe of the first driver fails while a program unbinds it; the second driver is innocent. */
TEST_F(DeviceTest, UnbindTakesNoOtherDriver)
{
	static std::atomic<pid_t> writer;
	static int result;
	std::thread unbind;
	device_driver second{};

	writer = 0;
	second.name = "seconddriver";
	second.bus = &fixture.bus;
	fixture.bus.probe = [](device *dev) {
		if (dev->driver != &fixture.driver)
			return 0;
		while (!writer)
			std::this_thread::yield();
		wd::test::untilAsleep(writer);
		return -ENODEV;
	};
	ASSERT_EQ(driver_register(&fixture.driver), 0);
	ASSERT_EQ(driver_register(&second), 0);
	device *dev = newDevice("d0");
	static notifier_block starter{};
	static std::thread *thread;
	thread = &unbind;
	starter.notifier_call = [](notifier_block *, unsigned long action, void *) {
		if (action == BUS_NOTIFY_BIND_DRIVER && !thread->joinable())
			*thread = std::thread([] {
				writer = gettid();
				result = sysfsWrite("/sys/bus/testbus/drivers/testdriver/unbind",
						    "d0");
			});
		return static_cast<int>(NOTIFY_OK);
	};
	ASSERT_EQ(bus_register_notifier(&fixture.bus, &starter), 0);
	ASSERT_EQ(device_add(dev), 0);
	unbind.join();
	bus_unregister_notifier(&fixture.bus, &starter);
	EXPECT_EQ(result, -ENODEV);
	EXPECT_STREQ(dev_driver_string(dev), "seconddriver");
	device_unregister(dev);
	driver_unregister(&second);
	driver_unregister(&fixture.driver);
}

TEST_F(DeviceTest, ADeviceWithoutPowerIsNotAskedBeforeASleep)
{
	static std::string asked;
	const dev_pm_ops ops = {.suspend = [](device *dev) {
		asked += dev_name(dev);
		return 0;
	}};
	device *always = newDevice("always"), *never = newDevice("never");

	asked.clear();
	fixture.bus.pm = &ops;
	device_set_pm_not_required(never);
	dev_set_uevent_suppress(never, true);
	ASSERT_EQ(device_add(always), 0);
	ASSERT_EQ(device_add(never), 0);
	EXPECT_EQ(systemSleep(), 0);
	EXPECT_EQ(asked, "always");
	device_unregister(never);
	device_unregister(always);
}

/* --- class devices and attributes --- */

std::atomic<int> level;

ssize_t levelShow(device *, device_attribute *, char *buf)
{
	return sysfs_emit(buf, "%d\n", level.load());
}

ssize_t levelStore(device *, device_attribute *, const char *buf, size_t count)
{
	int value;
	int ret = kstrtoint(buf, 0, &value);
	if (ret)
		return ret;
	level = value;
	return static_cast<ssize_t>(count);
}

device_attribute levelAttribute = {{"level", 0644}, levelShow, levelStore};
device_attribute hiddenAttribute = {{"hidden", 0444}, levelShow, nullptr};
device_attribute secretAttribute = {{"secret", 0200}, nullptr, levelStore};
attribute *attributes[] = {&levelAttribute.attr, &hiddenAttribute.attr, &secretAttribute.attr,
			   nullptr};
umode_t visible(kobject *, attribute *attr, int)
{
	return attr == &hiddenAttribute.attr ? 0 : attr->mode;
}
const attribute_group plainGroup = {nullptr, visible, nullptr, attributes, nullptr};
const attribute_group namedGroup = {"sub", nullptr, nullptr, attributes, nullptr};
const attribute_group *groups[] = {&plainGroup, &namedGroup, nullptr};

TEST_F(DeviceTest, ClassDevicesAreWhereLinuxPutsThem)
{
	class_ *cls = class_create(nullptr, "accel");
	device *parent = newDevice("d0");
	set_dev_node(parent, 1);
	ASSERT_EQ(device_add(parent), 0);
	device *dev =
		device_create_with_groups(cls, parent, MKDEV(200, 3), nullptr, groups, "zip-%d", 0);
	ASSERT_FALSE(IS_ERR(dev));
	EXPECT_EQ(dev_to_node(dev), 1);
	std::string path;
	EXPECT_EQ(sysfsResolve("/sys/class/accel/zip-0", path), 0);
	EXPECT_EQ(path, "/sys/devices/d0/accel/zip-0");
	EXPECT_EQ(sysfsResolve(path + "/device", path), 0);
	EXPECT_EQ(path, "/sys/devices/d0");
	EXPECT_EQ(read("/sys/class/accel/zip-0/dev"), "200:3\n");
	level = 4;
	EXPECT_EQ(read("/sys/class/accel/zip-0/level"), "4\n");
	EXPECT_EQ(sysfsWrite("/sys/class/accel/zip-0/sub/level", "12\n"), 0);
	EXPECT_EQ(level, 12);
	EXPECT_EQ(sysfsWrite("/sys/class/accel/zip-0/level", "many"), -EINVAL);
	EXPECT_EQ(sysfsWrite("/sys/class/accel/zip-0/dev", "1"), -EACCES);
	std::string text;
	EXPECT_EQ(sysfsRead("/sys/class/accel/zip-0/secret", text), -EACCES);
	EXPECT_EQ(sysfsRead("/sys/class/accel/zip-0/hidden", text), -ENOENT);
	EXPECT_EQ(sysfsRead("/sys/class/accel/zip-0", text), -EISDIR);
	EXPECT_EQ(sysfsRead("/etc/passwd", text), -ENOENT);
	std::vector<std::string> names;
	EXPECT_EQ(sysfsList("/sys/class/accel/zip-0/sub", names), 0);
	EXPECT_EQ(names, (std::vector<std::string>{"hidden", "level", "secret"}));
	device_destroy(cls, MKDEV(200, 3));
	EXPECT_EQ(sysfsResolve("/sys/devices/d0/accel", path), -ENOENT);
	device_unregister(parent);
	class_destroy(cls);
}

/* Both threads that remove a file free what its callback uses, so both wait for its end. */
TEST_F(DeviceTest, WhoRemovesAFileWaitsForItsCallback)
{
	static std::atomic<bool> inside, hold;
	static device_attribute slow = {{"slow", 0444},
					[](device *, device_attribute *, char *buf) {
						inside = true;
						while (hold)
							std::this_thread::yield();
						return static_cast<ssize_t>(sysfs_emit(buf, "\n"));
					},
					nullptr};
	device *dev = newDevice("d0");
	std::atomic<pid_t> id{0};
	std::atomic<bool> removed{false};
	std::string path;

	hold = true;
	inside = false;
	ASSERT_EQ(device_add(dev), 0);
	ASSERT_EQ(device_create_file(dev, &slow), 0);
	std::thread reader([&] {
		std::string text;

		(void)sysfsRead("/sys/devices/d0/slow", text);
	});
	while (!inside)
		std::this_thread::yield();
	std::thread first([&] { sysfs_remove_file(&dev->kobj, &slow.attr); });
	while (sysfsResolve("/sys/devices/d0/slow", path) != -ENOENT)
		std::this_thread::yield();
	std::thread second([&] {
		id = gettid();
		sysfs_remove_file(&dev->kobj, &slow.attr);
		removed = true;
	});
	while (!id)
		std::this_thread::yield();
	wd::test::untilAsleep(id);
	EXPECT_FALSE(removed);
	hold = false;
	for (std::thread *thread : {&reader, &first, &second})
		thread->join();
	device_unregister(dev);
}

TEST_F(DeviceTest, TheMirrorIsReadableWithOrdinaryFiles)
{
	class_ *cls = class_create(nullptr, "accel");
	level = 7;
	device *dev = device_create_with_groups(cls, nullptr, 0, nullptr, groups, "a0");
	ASSERT_FALSE(IS_ERR(dev));
	read("/sys/class/accel/a0/level");
	auto contentOf = [&](const std::string &path) {
		std::ifstream file(directory_ / path);
		return std::string(std::istreambuf_iterator<char>(file), {});
	};
	EXPECT_EQ(contentOf("devices/virtual/accel/a0/level"), "7\n");
	EXPECT_EQ(contentOf("class/accel/a0/level"), "7\n"); /* through the link */
	EXPECT_EQ(sysfsWrite("/sys/class/accel/a0/level", "8"), 0);
	EXPECT_EQ(contentOf("class/accel/a0/level"), "8\n");
	EXPECT_EQ(contentOf("devices/system/node/node0/cpulist"), "0-2,5\n");
	device_unregister(dev);
	EXPECT_FALSE(std::filesystem::exists(directory_ / "devices/virtual/accel"));
	class_destroy(cls);
}

TEST_F(DeviceTest, NodesOfTheMachine)
{
	EXPECT_EQ(read("/sys/devices/system/node/online"), "0-1\n");
	EXPECT_EQ(read("/sys/devices/system/node/node1/distance"), "21 10\n");
	EXPECT_EQ(read("/sys/devices/system/node/node1/cpulist"), "\n");
	EXPECT_EQ(read("/sys/devices/system/node/has_cpu"), "0\n");
	EXPECT_NE(
		read("/sys/devices/system/node/node1/meminfo").find("MemTotal:       16777216 kB"),
		std::string::npos);
	EXPECT_EQ(node_distance(0, 1), 21);
	EXPECT_EQ(cpu_to_node(5), 0);
}

/* --- cdev --- */

struct Owned {
	device dev;
	cdev cd;
};

TEST_F(DeviceTest, AnOpenFileKeepsTheCdevsDevice)
{
	static std::atomic<int> freed;
	freed = 0;
	static const file_operations fops = {};
	class_ *cls = class_create(nullptr, "accel");
	dev_t devt;
	ASSERT_EQ(alloc_chrdev_region(&devt, 0, 4, "accel"), 0);
	auto *owned = static_cast<Owned *>(kzalloc(sizeof(Owned), GFP_KERNEL));
	device_initialize(&owned->dev);
	owned->dev.devt = devt + 2;
	owned->dev.class_ = cls;
	owned->dev.release = [](device *dev) {
		freed++;
		kfree(container_of(dev, Owned, dev));
	};
	ASSERT_EQ(dev_set_name(&owned->dev, "a0"), 0);
	cdev_init(&owned->cd, &fops);
	ASSERT_EQ(cdev_device_add(&owned->cd, &owned->dev), 0);
	int fd = caller_->open("/dev/a0", O_RDWR);
	EXPECT_EQ(fd, 0);
	EXPECT_EQ(caller_->ioctl(fd, 1, 0), -ENOTTY);
	cdev_device_del(&owned->cd, &owned->dev);
	put_device(&owned->dev);
	EXPECT_EQ(caller_->open("/dev/a0", O_RDWR), -ENOENT);
	EXPECT_EQ(freed, 0);
	EXPECT_EQ(caller_->close(fd), 0);
	EXPECT_EQ(freed, 1);
	unregister_chrdev_region(devt, 4);
	class_destroy(cls);
}

/* A driver that has no memory to build the node's name can still remove the node. */
TEST_F(DeviceTest, ANodeGoesWhateverItsNameIsNow)
{
	static std::atomic<bool> named; /* the thread of the mirror asks for the name too */
	static const file_operations fops = {};
	class_ *cls = class_create(nullptr, "accel");
	dev_t devt;
	cdev cd = {};

	named = true;
	cls->devnode = [](device *, umode_t *) -> char * {
		return named ? kasprintf(GFP_KERNEL, "accel/a0") : nullptr;
	};
	ASSERT_EQ(alloc_chrdev_region(&devt, 0, 1, "accel"), 0);
	cdev_init(&cd, &fops);
	ASSERT_EQ(cdev_add(&cd, devt, 1), 0);
	device *dev = device_create(cls, nullptr, devt, nullptr, "a0");
	ASSERT_FALSE(IS_ERR(dev));
	const int fd = caller_->open("/dev/accel/a0", O_RDWR);
	EXPECT_GE(fd, 0);
	EXPECT_EQ(caller_->close(fd), 0);
	named = false;
	device_destroy(cls, devt);
	cdev_del(&cd);
	EXPECT_EQ(caller_->open("/dev/accel/a0", O_RDWR), -ENOENT);
	unregister_chrdev_region(devt, 1);
	class_destroy(cls);
}

} // namespace
