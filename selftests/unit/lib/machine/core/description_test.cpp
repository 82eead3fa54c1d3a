// SPDX-License-Identifier: Apache-2.0
/* Machine descriptions: a wrong field is refused, and the error names it. */
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "../qm/rig.h"
#include "machine/iommu_unit.h"
#include "machine/machine.h"

namespace wd::machine::test
{

namespace
{

using Json = nlohmann::json;

std::string problemOf(const std::string &text)
{
	try {
		MachineDescription::fromJson(text);
	} catch (const std::system_error &error) {
		EXPECT_EQ(error.code(), std::errc::invalid_argument);
		return error.what();
	}
	return "";
}

/** A description with @value at @pointer is refused, and the message names @field. */
struct Wrong {
	const char *pointer, *value, *field;
};

void expectWrong(const Json &good, const std::vector<Wrong> &cases)
{
	for (const Wrong &wrong : cases) {
		Json bad = good;

		bad[Json::json_pointer(wrong.pointer)] = Json::parse(wrong.value);
		const std::string problem = problemOf(bad.dump());

		EXPECT_NE(problem.find(std::string(": ") + wrong.field + ": "), std::string::npos)
			<< wrong.pointer << " = " << wrong.value << " gives " << problem;
	}
}

} // namespace

TEST(Description, KindChoosesTheAlgorithms)
{
	Json json = Json::parse(MachineDescription::preset("two-socket").toJson());

	EXPECT_EQ(json["accelerators"][0]["kind"], "zip");
	json["accelerators"][0]["kind"] = "sec";
	json["accelerators"][0].erase("algorithms");
	const auto machine = MachineDescription::fromJson(json.dump());
	EXPECT_EQ(machine.accelerators[0].kind, AcceleratorKind::Sec);
	EXPECT_EQ(machine.accelerators[0].algorithms,
		  (std::vector<std::string>{"cipher", "digest", "aead"}));
	EXPECT_EQ(MachineDescription::fromJson(machine.toJson()).toJson(), machine.toJson());
}

TEST(Description, PresetIsTheMachineOfTheDocument)
{
	const auto names = MachineDescription::presetNames();
	ASSERT_EQ(names, (std::vector<std::string>{"two-socket", "with-sec"}));
	EXPECT_EQ(MachineDescription::preset(names[1]).accelerators[1].kind, AcceleratorKind::Sec);
	const auto machine = MachineDescription::preset("two-socket");
	EXPECT_EQ(machine.nodes.size(), 4u);
	EXPECT_EQ(machine.nodes[1].memoryBytes, 64ull << 30);
	EXPECT_EQ(machine.nodes[1].cpus.size(), 32u);
	EXPECT_EQ(machine.nodes[0].distances, (std::vector<int>{10, 12, 20, 22}));
	ASSERT_EQ(machine.accelerators.size(), 2u);
	EXPECT_EQ(machine.accelerators[1].numaNode, 2);
	EXPECT_EQ(machine.accelerators[1].address.bus, 0xb5);
	EXPECT_THROW(MachineDescription::preset("three-socket"), std::system_error);
}

TEST(Description, SurvivesItsOwnJson)
{
	const auto first = MachineDescription::preset("two-socket");
	const auto second = MachineDescription::fromJson(first.toJson());
	EXPECT_EQ(first.toJson(), second.toJson());
	EXPECT_EQ(second.nodes[3].cpus, first.nodes[3].cpus);
}

TEST(Description, TellsTheInterruptPin)
{
	const auto preset = MachineDescription::preset("two-socket");
	const struct {
		const char *name;
		unsigned pin;
	} cases[] = {{"none", 0}, {"A", 1}, {"B", 2}, {"C", 3}, {"D", 4}};

	for (const auto &accelerator : preset.accelerators)
		EXPECT_EQ(accelerator.interruptPin, 0u) << "real ones have none";
	for (const auto &row : cases) {
		Json json = Json::parse(preset.toJson());

		json["accelerators"][1]["interruptPin"] = row.name;
		const auto machine = MachineDescription::fromJson(json.dump());
		EXPECT_EQ(machine.accelerators[1].interruptPin, row.pin);
		EXPECT_EQ(machine.accelerators[0].interruptPin, 0u);
		EXPECT_EQ(Json::parse(machine.toJson())["accelerators"][1]["interruptPin"],
			  row.name);
	}
}

TEST(Description, NamesTheFieldThatIsWrong)
{
	const Json good = Json::parse(MachineDescription::preset("two-socket").toJson());
	ASSERT_EQ(problemOf(good.dump()), "");
	const std::vector<Wrong> cases = {
		{"/name", "7", "name"},
		{"/extra", "1", "extra"},
		{"/nodes", "[]", "nodes"},
		{"/nodes", "{}", "nodes"},
		{"/nodes/0/colour", "1", "nodes[0].colour"},
		{"/nodes/1/id", "0", "nodes[1].id"},
		{"/nodes/1/id", "-1", "nodes[1].id"},
		{"/nodes/1/id", "1.5", "nodes[1].id"},
		{"/nodes/1/id", "99999", "nodes[1].id"},
		{"/nodes/1/cpus", "[0]", "nodes[1].cpus"},
		{"/nodes/1/cpus", "\"5-2\"", "nodes[1].cpus"},
		{"/nodes/1/cpus", "\"0-999999999\"", "nodes[1].cpus"},
		{"/nodes/1/cpus", "\"-4\"", "nodes[1].cpus"},
		{"/nodes/1/cpus", "[\"a\"]", "nodes[1].cpus[0]"},
		{"/nodes/1/memory", "\"64Q\"", "nodes[1].memory"},
		{"/nodes/1/memory", "\"99999999999T\"", "nodes[1].memory"},
		{"/nodes/1/memory", "null", "nodes[1].memory"},
		{"/nodes/1/memoryKind", "\"tape\"", "nodes[1].memoryKind"},
		{"/nodes/2/distances", "[10, 20, 30]", "nodes[2].distances"},
		{"/nodes/2/distances/2", "11", "nodes[2].distances[2]"},
		{"/nodes/2/distances/1", "10", "nodes[2].distances[1]"},
		{"/nodes/2/distances/1", "255", "nodes[2].distances[1]"},
		{"/iommu/address", "\"00:02.0\"", "iommu.address"},
		{"/iommu/address", "\"0000:00:32.0\"", "iommu.address"},
		{"/iommu/address", "\"0000:00:02.8\"", "iommu.address"},
		{"/iommu/node", "7", "iommu.node"},
		{"/iommu/hostAddressWidth", "53", "iommu.hostAddressWidth"},
		{"/iommu/cap", "\"0xxyz\"", "iommu.cap"},
		{"/accelerators/0/address", "\"0000:00:02.0\"", "accelerators[0].address"},
		{"/accelerators/0/address", "\"0000:b5:00.0\"", "accelerators[1].address"},
		{"/accelerators/0/address", "\"0001:75:00.0\"", "accelerators[0].address"},
		{"/accelerators/1/node", "\"two\"", "accelerators[1].node"},
		{"/accelerators/1/revision", "\"0x21\"", "accelerators[1].revision"},
		{"/accelerators/1/queues", "0", "accelerators[1].queues"},
		{"/accelerators/1/queues", "1025", "accelerators[1].queues"},
		{"/accelerators/1/algorithms", "[]", "accelerators[1].algorithms"},
		{"/accelerators/1/algorithms", "[\"lz4\"]", "accelerators[1].algorithms[0]"},
		{"/accelerators/1/algorithms", "[\"cipher\"]", "accelerators[1].algorithms[0]"},
		{"/accelerators/1/kind", "\"hpre\"", "accelerators[1].kind"},
		{"/accelerators/1/algorithms", "[\"zlib\", \"zlib\"]",
		 "accelerators[1].algorithms[1]"},
		{"/accelerators/1/doorbells", "\"loud\"", "accelerators[1].doorbells"},
		{"/accelerators/1/interruptPin", "\"E\"", "accelerators[1].interruptPin"},
		{"/accelerators/1/interruptPin", "\"AB\"", "accelerators[1].interruptPin"},
		{"/accelerators/1/interruptPin", "\"\"", "accelerators[1].interruptPin"},
		{"/accelerators/1/interruptPin", "1", "accelerators[1].interruptPin"},
		{"/accelerators/1/acs", "0", "accelerators[1].acs"},
		{"/accelerators/0/rom", "1024", "accelerators[0].rom"},
		{"/accelerators/1/rom", "3072", "accelerators[1].rom"},
		{"/accelerators/1/rom", "\"32M\"", "accelerators[1].rom"},
		{"/engineThreads", "257", "engineThreads"},
		{"/engineThreads", "true", "engineThreads"},
	};
	expectWrong(good, cases);
	for (const char *key : {"/name", "/nodes", "/iommu", "/accelerators", "/nodes/0/id",
				"/nodes/0/distances", "/iommu/address", "/accelerators/0/node"}) {
		const Json::json_pointer pointer(key);
		Json bad = good;
		bad[pointer.parent_pointer()].erase(pointer.back());
		EXPECT_NE(problemOf(bad.dump()).find("is missing"), std::string::npos) << key;
	}
	EXPECT_NE(problemOf("{\"name\": \"a\", \"name\": \"b\"}").find("name: is there twice"),
		  std::string::npos);
	for (const char *text : {"", "[", "[]", "null", "{\"name\":", "\xff"})
		EXPECT_NE(problemOf(text), "") << text;
	EXPECT_NE(problemOf(std::string(100000, '[')), "");
}

TEST(Description, PortsHaveABusBelow)
{
	Json good = Json::parse(MachineDescription::preset("two-socket").toJson());

	good["ports"] = Json::parse(R"([{"address": "0000:00:1c.0", "node": 0, "bus": "0x75"},
					{"address": "0000:00:1c.1", "node": 2, "bus": "0xb5"}])");
	ASSERT_EQ(problemOf(good.dump()), "");
	const auto machine = MachineDescription::fromJson(good.dump());

	ASSERT_EQ(machine.ports.size(), 2u);
	EXPECT_EQ(machine.ports[1].bus, 0xb5);
	EXPECT_EQ(MachineDescription::fromJson(machine.toJson()).toJson(), machine.toJson());
	const std::vector<Wrong> cases = {
		{"/ports", "{}", "ports"},
		{"/ports/0/bus", "256", "ports[0].bus"},
		{"/ports/0/bus", "0", "ports[0].bus"},
		{"/ports/0/colour", "1", "ports[0].colour"},
		{"/ports/0/node", "17", "ports[0].node"},
		{"/ports/1/bus", "117", "ports[1].bus"},
		{"/ports/1/address", "\"0000:00:1c.0\"", "ports[1].address"},
		{"/ports/1/address", "\"0001:00:1c.0\"", "ports[1].address"},
		{"/ports/1/address", "\"0000:75:1c.0\"", "ports[1].address"},
		{"/ports/1/address", "\"0000:b5:1c.0\"", "ports[1].bus"},
		{"/accelerators/0/address", "\"0000:75:01.0\"", "accelerators[0].address"},
		{"/iommu/address", "\"0000:75:00.1\"", "iommu.address"},
	};
	expectWrong(good, cases);
}

TEST(Machine, FunctionsMayHaveARom)
{
	SparseMemory memory(0x1000000, 0x1000000);
	auto description = MachineDescription::preset("two-socket");

	description.accelerators[0].romBytes = 4096;
	Machine machine(MachineDescription::fromJson(description.toJson()), memory);
	PciFunction &with = *machine.functions()[1].function;
	PciFunction &without = *machine.functions()[2].function;

	EXPECT_EQ(with.romSize(), 4096u);
	EXPECT_EQ(with.romRead(0, 2), 0xaa55u);
	EXPECT_EQ(with.romRead(with.romRead(0x18, 2), 8), 0xa25019e552494350u);
	EXPECT_EQ(with.romRead(4095, 2), 0xffffu);
	EXPECT_EQ(with.romRead(UINT64_MAX, 4), 0xffffffu << 8 | 0xffu);
	for (PciFunction *each : {&with, &without})
		each->configWrite(0x30, ~0u, 4);
	EXPECT_EQ(with.configRead(0x30, 4), 0xfffff001u);
	with.reset();
	EXPECT_EQ(with.configRead(0x30, 4), 0xfffff001u) << "the address belongs to the bus";
	with.busReset();
	EXPECT_EQ(with.configRead(0x30, 4), 0u);
	EXPECT_EQ(without.romSize(), 0u);
	EXPECT_EQ(without.configRead(0x30, 4), 0u);
}

/* Functions of one device have ACS, unless the description says otherwise. */
TEST(Machine, FunctionsOfOneDeviceTellSo)
{
	constexpr uint32_t kAcs = 0x1000d;
	const auto findAcs = [](PciFunction &function) {
		unsigned at = 0x100;

		while (at && (function.configRead(at, 4) & 0xfffff) != kAcs)
			at = function.configRead(at, 4) >> 20;
		return at;
	};
	SparseMemory memory(0x1000000, 0x1000000);
	auto description = MachineDescription::preset("two-socket");

	description.accelerators[1].address = {0, 0x75, 0, 1};
	description.accelerators[1].numaNode = description.accelerators[0].numaNode;
	description.accelerators[1].acs = false;
	Machine machine(MachineDescription::fromJson(description.toJson()), memory);
	PciFunction &unit = *machine.functions()[0].function;
	PciFunction &with = *machine.functions()[1].function;
	PciFunction &without = *machine.functions()[2].function;

	EXPECT_EQ(unit.configRead(0x0e, 1), 0u) << "alone";
	EXPECT_EQ(findAcs(unit), 0u);
	EXPECT_EQ(with.configRead(0x0e, 1), 0x80u);
	EXPECT_EQ(without.configRead(0x0e, 1), 0x80u);
	ASSERT_NE(findAcs(with), 0u);
	EXPECT_EQ(with.configRead(findAcs(with) + 4, 4), 0u) << "nothing to control";
	EXPECT_EQ(findAcs(without), 0u);
}

/* Bridge Control resets the functions below the port, and no others. */
TEST(Machine, PortsResetTheirBus)
{
	constexpr unsigned kControl = 0x3e;
	constexpr uint64_t kStorage = 0x300040;
	SparseMemory memory(0x1000000, 0x1000000);
	auto description = MachineDescription::preset("two-socket");

	description.ports.push_back({{0, 0, 0x1c, 0}, 0, 0x75});
	Machine machine(description, memory);
	const auto &functions = machine.functions();

	ASSERT_EQ(functions.size(), 4u);
	ASSERT_TRUE(functions[1].port);
	EXPECT_FALSE(functions[2].port);
	PciFunction &port = *functions[1].function, &below = *functions[2].function,
		    &other = *functions[3].function;

	EXPECT_EQ(port.configRead(0x0e, 1), 1u) << "header of a bridge";
	EXPECT_EQ(port.configRead(0x18, 4), 0x757500u);
	EXPECT_EQ(port.configRead(0x0a, 2), 0x604u);
	EXPECT_EQ(port.bar(0).size, 0u);
	for (PciFunction *each : {&below, &other}) {
		each->configWrite(0x18, 0x40000000, 4);
		each->barWrite(2, kStorage, 0x1234, 4);
	}
	port.configWrite(kControl, 0x40, 2);
	EXPECT_EQ(below.barRead(2, kStorage, 4), 0u);
	EXPECT_EQ(below.configRead(0x18, 4) & ~0xfu, 0u) << "addresses go, too";
	EXPECT_EQ(other.barRead(2, kStorage, 4), 0x1234u);
	EXPECT_EQ(other.configRead(0x18, 4) & ~0xfu, 0x40000000u);
	/* One reset for each time the bit is set. */
	below.barWrite(2, kStorage, 0x1234, 4);
	port.configWrite(kControl, 0x40, 2);
	EXPECT_EQ(below.barRead(2, kStorage, 4), 0x1234u);
	port.configWrite(kControl, 0, 2);
	EXPECT_EQ(below.barRead(2, kStorage, 4), 0x1234u);
	port.configWrite(kControl, 0x40, 2);
	EXPECT_EQ(below.barRead(2, kStorage, 4), 0u);
}

TEST(Description, ComesFromFiles)
{
	EXPECT_THROW(MachineDescription::fromFile("/nonexistent/machine.json"), std::system_error);
	const std::string path = ::testing::TempDir() + "/wd-machine.json";
	std::ofstream(path) << "{\"name\": 7}";
	try {
		MachineDescription::fromFile(path);
		ADD_FAILURE();
	} catch (const std::system_error &error) {
		EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
	}
	std::ofstream(path) << MachineDescription::preset("two-socket").toJson();
	EXPECT_EQ(MachineDescription::fromFile(path).name, "two-socket");
	unlink(path.c_str());
}

TEST(Machine, HasItsFunctionsInBusOrder)
{
	SparseMemory memory(0x1000000, 0x1000000);
	Machine machine(MachineDescription::preset("two-socket"), memory);
	const auto &functions = machine.functions();
	ASSERT_EQ(functions.size(), 3u);
	EXPECT_EQ(functions[0].function, &machine.iommu());
	EXPECT_EQ(functions[1].address.bus, 0x75);
	EXPECT_EQ(functions[2].numaNode, 2);
	EXPECT_EQ(functions[1].function->configRead(0, 4), 0xa25019e5u);
	machine.start();
	machine.start();
	machine.stop();
	machine.start();
}

TEST(SparseMemory, HasHolesAndKeepsContent)
{
	SparseMemory memory(0x1000, 0x3000);
	char data[0x2000] = "x", back[0x2000];
	uint64_t value = 0;
	EXPECT_TRUE(memory.read(0x1000, back, sizeof(back)));
	EXPECT_EQ(memory.residentPages(), 0u);
	EXPECT_FALSE(memory.write(0x3000, data, sizeof(data))) << "runs into the hole behind";
	EXPECT_TRUE(memory.write(0x1ff8, data, 16));
	EXPECT_FALSE(memory.read(0xfff, back, 2));
	EXPECT_FALSE(memory.read(~0ull - 3, back, 16));
	EXPECT_FALSE(memory.write(~0ull - 3, back, 16));
	EXPECT_TRUE(memory.store(0x1008, 8, 0x1122334455667788));
	EXPECT_TRUE(memory.load(0x100a, 2, value));
	EXPECT_EQ(value, 0x5566u);
	EXPECT_FALSE(memory.load(0x1001, 2, value));
	EXPECT_FALSE(memory.load(0x1000, 3, value));
	EXPECT_FALSE(memory.store(0x4000, 4, 1));
	uint64_t expected = 1;
	bool exchanged = true;
	EXPECT_TRUE(memory.compareExchange(0x1008, expected, 5, exchanged));
	EXPECT_FALSE(exchanged);
	EXPECT_EQ(expected, 0x1122334455667788u);
	EXPECT_TRUE(memory.compareExchange(0x1008, expected, 5, exchanged));
	EXPECT_TRUE(exchanged);
	memory.removeRange(0x2000, 0x1000);
	EXPECT_FALSE(memory.load(0x2000, 8, value));
	EXPECT_TRUE(memory.load(0x3000, 8, value));
	memory.addRange(0x2000, 0x1000);
	EXPECT_TRUE(memory.load(0x2000, 8, value));
	EXPECT_EQ(value, 0u);
	EXPECT_THROW(memory.addRange(1, 4096), std::invalid_argument);
	EXPECT_THROW(memory.addRange(~0xfffull, 0x2000), std::invalid_argument);
}

} // namespace wd::machine::test
