// SPDX-License-Identifier: Apache-2.0
/* Discovery from sysfs texts, good ones and malformed ones. */
#include <gtest/gtest.h>

#include "fake_host.h"
#include "wd/accelerator.h"

using namespace wd;
using namespace wd::test;

namespace
{

void addDevice(FakeHost &host, const std::string &name, int node, unsigned available,
	       const std::string &algorithms = "zlib\ngzip")
{
	const std::string from = "/sys/class/uacce/hisi_zip-0/", to = "/sys/class/uacce/" + name;
	for (const auto &[key, value] : goodSysfs())
		if (key.starts_with(from))
			host.sysfs[to + "/" + key.substr(from.size())] = value;
	host.sysfs[to + "/device/numa_node"] = std::to_string(node);
	host.sysfs[to + "/available_instances"] = std::to_string(available);
	host.sysfs[to + "/algorithms"] = algorithms;
}

std::string codeAndText(const std::function<void()> &function, int error)
{
	try {
		function();
	} catch (const Error &e) {
		EXPECT_EQ(e.error(), error) << e.what();
		return e.line();
	}
	ADD_FAILURE() << "no exception";
	return {};
}

} // namespace

TEST(Discovery, ReadsEveryAttribute)
{
	FakeHost host;
	const Topology topology = Topology::discover(host);
	ASSERT_EQ(topology.accelerators().size(), 1u);
	const Accelerator &a = topology.accelerators()[0];
	EXPECT_EQ(a.name, "hisi_zip-0");
	EXPECT_EQ(a.devicePath, "/dev/hisi_zip-0");
	EXPECT_EQ(a.pciAddress, "0000:75:00.0");
	EXPECT_EQ(a.api, "hisi_qm_v3");
	EXPECT_EQ(a.algorithms, (std::vector<std::string>{"zlib", "gzip", "deflate"}));
	EXPECT_EQ(a.flags, 256u);
	EXPECT_EQ(a.node, 1);
	EXPECT_EQ(a.available, 7u);
	EXPECT_FALSE(a.total);
	EXPECT_EQ(a.mmioSize, kMmio);
	EXPECT_EQ(a.dusSize, kDus);
	EXPECT_EQ(a.doorbellWords, kWords);
	ASSERT_EQ(topology.nodes().size(), 2u);
	EXPECT_EQ(topology.nodes()[0].cpus, (std::vector<int>{0, 1}));
	EXPECT_EQ(topology.nodes()[0].memoryBytes, 1024u << 10);
	EXPECT_EQ(topology.distance(0, 1), 20);
	EXPECT_EQ(topology.distance(1, 1), 10);
	EXPECT_FALSE(topology.distance(0, 2));
	EXPECT_FALSE(topology.distance(-1, 0));
	EXPECT_EQ(availableQueues(host, "hisi_zip-0"), 7u);
}

TEST(Discovery, OptionalAttributesMayBeAbsent)
{
	FakeHost host;
	const std::string a = "/sys/class/uacce/hisi_zip-0/";
	for (const char *name : {"doorbell_words", "isolate", "device/numa_node"})
		host.sysfs.erase(a + name);
	const Topology topology = Topology::discover(host);
	ASSERT_EQ(topology.accelerators().size(), 1u);
	EXPECT_EQ(topology.accelerators()[0].node, -1);
	EXPECT_FALSE(topology.accelerators()[0].doorbellWords);
}

/* A device with malformed attributes is skipped, with the reason. The others stay usable. */
TEST(Discovery, MalformedDevicesAreSkippedWithAReason)
{
	const std::pair<const char *, const char *> bad[] = {
		{"api", ""},
		{"algorithms", ""},
		{"flags", "0x100"},
		{"flags", "1 2"},
		{"available_instances", "-1"},
		{"available_instances", "99999999999999999999"},
		{"available_instances", ""},
		{"region_mmio_size", "0"},
		{"region_dus_size", "many"},
		{"region_dus_size", "0"},
		{"region_dus_size", "18446744073709551615"},
		{"doorbell_words", "65535"},
		{"doorbell_words", "65536"},
		{"doorbell_words", "-8"},
		{"doorbell_words", "8193"},
		{"device/numa_node", "one"},
	};
	for (const auto &[name, value] : bad) {
		FakeHost host;
		addDevice(host, "hisi_zip-1", 0, 3);
		host.sysfs["/sys/class/uacce/hisi_zip-0/" + std::string(name)] = value;
		const Topology topology = Topology::discover(host);
		ASSERT_EQ(topology.accelerators().size(), 1u) << name << "=" << value;
		EXPECT_EQ(topology.accelerators()[0].name, "hisi_zip-1");
		ASSERT_EQ(topology.skipped().size(), 1u);
		EXPECT_NE(topology.skipped()[0].reason.find(name), std::string::npos);
		codeAndText([&] { topology.get("hisi_zip-0"); }, ENODEV);
	}
}

TEST(Discovery, NoClassMeansNoDevices)
{
	FakeHost host;
	host.sysfs.clear();
	const Topology topology = Topology::discover(host);
	EXPECT_TRUE(topology.accelerators().empty());
	EXPECT_EQ(topology.nearest("zlib", 0), nullptr);
	EXPECT_NE(codeAndText([&] { topology.require("zlib", 0); }, EINVAL).find("no accelerator"),
		  std::string::npos);
}

TEST(Discovery, NearestByDistanceThenFreeQueuesThenName)
{
	FakeHost host;
	addDevice(host, "hisi_zip-1", 0, 3);
	addDevice(host, "hisi_zip-2", 0, 9);
	addDevice(host, "hisi_zip-3", 0, 9);
	addDevice(host, "hisi_zip-4", -1, 99);
	const Topology topology = Topology::discover(host);
	EXPECT_EQ(topology.nearest("zlib", 0)->name, "hisi_zip-2");
	EXPECT_EQ(topology.nearest("zlib", 1)->name, "hisi_zip-0");
	EXPECT_EQ(topology.nearest("deflate", 0)->name, "hisi_zip-0") << "the only one that can";
	EXPECT_EQ(topology.byDistance("zlib", 0).back()->name, "hisi_zip-4") << "unknown node";
	EXPECT_EQ(topology.nearest("lz4", 0), nullptr);
	EXPECT_NE(codeAndText([&] { topology.require("lz4", 0); }, EINVAL).find("zlib, gzip"),
		  std::string::npos);
}

TEST(Discovery, NamesAreOrderedAsPeopleCount)
{
	FakeHost host;
	for (const char *name :
	     {"hisi_zip-10", "hisi_zip-2", "hisi_zip-1", "hisi_zip-02", "hisi_sec-3"})
		addDevice(host, name, 1, 7);
	std::vector<std::string> names, near;
	const Topology topology = Topology::discover(host);
	for (const Accelerator &device : topology.accelerators())
		names.push_back(device.name);
	for (const Accelerator *device : topology.byDistance("", 1))
		near.push_back(device->name);
	EXPECT_EQ(names, (std::vector<std::string>{"hisi_sec-3", "hisi_zip-0", "hisi_zip-1",
						   "hisi_zip-02", "hisi_zip-2", "hisi_zip-10"}));
	EXPECT_EQ(near, names) << "all are equally good";
}

TEST(Discovery, AnyAlgorithmWillDo)
{
	FakeHost host;
	addDevice(host, "hisi_zip-1", 1, 9);
	const Topology topology = Topology::discover(host);
	EXPECT_EQ(topology.nearest("", 0)->name, "hisi_zip-1") << "more free queues";
	EXPECT_EQ(topology.require("", 0).name, "hisi_zip-1");
	host.sysfs["/sys/class/uacce/hisi_zip-0/available_instances"] = "0";
	host.sysfs["/sys/class/uacce/hisi_zip-1/available_instances"] = "0";
	const Topology full = Topology::discover(host);
	EXPECT_EQ(full.nearest("", 0), nullptr);
	codeAndText([&] { full.require("", 0); }, EBUSY);
	host.sysfs.erase("/sys/class/uacce/hisi_zip-1/api");
	host.sysfs.erase("/sys/class/uacce/hisi_zip-0/api");
	const Topology none = Topology::discover(host);
	const std::string line = codeAndText([&] { none.require("", 0); }, ENODEV);
	EXPECT_NE(line.find("no accelerator"), std::string::npos) << line;
	EXPECT_NE(line.find("hisi_zip-0 (attribute api is missing)"), std::string::npos) << line;
}

TEST(Discovery, NodesThatTheMachineDoesNotHave)
{
	FakeHost host;
	const Topology topology = Topology::discover(host);
	for (const int node : {-1, 2, 99}) {
		codeAndText([&] { topology.nearest("zlib", node); }, EINVAL);
		codeAndText([&] { topology.require("zlib", node); }, EINVAL);
		codeAndText([&] { topology.byDistance("zlib", node); }, EINVAL);
		host.node = node == -1 ? -EINVAL : node;
		codeAndText([&] { Topology::discover(host); }, EINVAL);
	}
}

/* An accelerator without a driver, or with another one, is listed with the reason. */
TEST(Discovery, AcceleratorsWithoutADriver)
{
	FakeHost host;
	const std::string bus = "/sys/bus/pci/devices/";
	for (const char *address :
	     {"0000:75:00.0", "0000:b5:00.0", "0000:00:02.0", "0000:b6:00.0"}) {
		host.sysfs[bus + address + "/vendor"] = "0x19e5";
		host.sysfs[bus + address + "/device"] = "0xa250";
	}
	host.sysfs[bus + "0000:00:02.0/device"] = "0x1dd0";
	host.sysfs[bus + "0000:b5:00.0/uacce/hisi_zip-0/api"] = "x";
	host.links[bus + "0000:b6:00.0/driver"] = "/sys/bus/pci/drivers/vfio-pci";
	const Topology topology = Topology::discover(host);
	ASSERT_EQ(topology.skipped().size(), 2u);
	EXPECT_EQ(topology.skipped()[0].name, "0000:75:00.0");
	EXPECT_NE(topology.skipped()[0].reason.find("no driver"), std::string::npos);
	EXPECT_EQ(topology.skipped()[1].name, "0000:b6:00.0");
	EXPECT_EQ(topology.skipped()[1].reason, "driver vfio-pci has it");
}

TEST(Discovery, FullAndIsolatedDevicesAreNotNearest)
{
	FakeHost host;
	addDevice(host, "hisi_zip-1", 0, 0);
	addDevice(host, "hisi_zip-2", 0, 5);
	host.sysfs["/sys/class/uacce/hisi_zip-2/isolate"] = "1";
	EXPECT_EQ(Topology::discover(host).nearest("zlib", 0)->name, "hisi_zip-0");
	host.sysfs["/sys/class/uacce/hisi_zip-0/available_instances"] = "0";
	const Topology topology = Topology::discover(host);
	EXPECT_EQ(topology.nearest("zlib", 0), nullptr);
	codeAndText([&] { topology.require("zlib", 0); }, EBUSY);
}

TEST(Discovery, UnknownNameListsTheKnownOnes)
{
	FakeHost host;
	const Topology topology = Topology::discover(host);
	const std::string line = codeAndText([&] { topology.get("hisi_zip-9"); }, ENODEV);
	EXPECT_NE(line.find("hisi_zip-9"), std::string::npos);
	EXPECT_NE(line.find("there are: hisi_zip-0"), std::string::npos);
	codeAndText([&] { availableQueues(host, "hisi_zip-9"); }, ENODEV);
}

/* The kernel lists distances of existing nodes only: their numbers may have gaps. */
TEST(Discovery, NodesWithGaps)
{
	FakeHost host;
	const std::string n = "/sys/devices/system/node/";
	host.sysfs.erase(n + "node1/cpulist");
	host.sysfs.erase(n + "node1/distance");
	host.sysfs[n + "node4/distance"] = "20 10";
	host.sysfs[n + "possible"] = "0-7";
	host.sysfs[n + "nodes/x"] = "";
	const Topology topology = Topology::discover(host);
	ASSERT_EQ(topology.nodes().size(), 2u);
	EXPECT_EQ(topology.distance(0, 4), 20);
	EXPECT_EQ(topology.distance(4, 0), 20);
	EXPECT_EQ(topology.distance(4, 4), 10);
}

TEST(Discovery, CpuLists)
{
	EXPECT_EQ(parseCpuList("0-3,8"), (std::vector<int>{0, 1, 2, 3, 8}));
	EXPECT_EQ(parseCpuList(""), std::vector<int>{});
	EXPECT_EQ(parseCpuList("7"), std::vector<int>{7});
	for (const char *bad : {",", "1,", "3-1", "-1", "a", "1-", "0-99999999", "1--2"})
		EXPECT_FALSE(parseCpuList(bad)) << bad;
}
