// SPDX-License-Identifier: Apache-2.0
/*
 * Bus numbers: pxb-pcie makes a root bus with a number and a NUMA node that we choose. Firmware and
 * Linux number the buses below its root ports upwards from there. So for functions on bus N we make
 * root bus N - 1 and put them below its first root port; those on bus N + 1 go below the next port.
 */
#include "qemu_arguments.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "machine/pci_function.h"
#include "vfio_user/server.h"

namespace wdmachine
{

namespace
{

using wd::machine::MachineDescription;
using wd::machine::NumaNode;
using wd::machine::PciAddress;

/* The memory of a node is a multiple of a huge page. */
constexpr uint64_t kMemoryUnit = 2u << 20;
constexpr unsigned kMaxCpus = 255, kPortsPerRoot = 32;
/* Slots of the root bus that QEMU's q35 occupies: memory controller, ICH9. */
constexpr unsigned kHostBridgeSlot = 0, kChipsetSlot = 0x1f;

[[noreturn]] void fail(const std::string &text)
{
	wd::throwErrno(EINVAL, text);
}

struct Function {
	PciAddress address;
	int node;
};

/** A root bus of the guest. It has one root port for each of the buses. */
struct RootBus {
	unsigned number, slot;
	int node;
	std::vector<unsigned> buses;
};

class Arguments
{
public:
	void add(const std::string &option, const std::string &value)
	{
		list_.push_back(option);
		list_.push_back(value);
	}
	std::vector<std::string> take() { return std::move(list_); }

private:
	std::vector<std::string> list_;
};

void checkNodes(const std::vector<NumaNode> &nodes)
{
	std::set<int> ids;

	for (const NumaNode &node : nodes)
		ids.insert(node.id);
	if (*ids.rbegin() != static_cast<int>(ids.size()) - 1)
		fail("QEMU needs nodes with the ids 0, 1, 2, ... without a gap");
}

std::map<int, uint64_t> splitMemory(const std::vector<NumaNode> &nodes, uint64_t total)
{
	std::map<int, uint64_t> shares;
	std::vector<int> holders;

	for (const NumaNode &node : nodes)
		if (node.memoryBytes && node.memoryKind != "none")
			holders.push_back(node.id);
	if (holders.empty())
		fail("no node of the machine has memory");
	const uint64_t share = total / holders.size() / kMemoryUnit * kMemoryUnit;

	if (!share || total % kMemoryUnit)
		fail(fmt::format(
			"--memory must be a multiple of 2M, at least 2M for each of {} nodes",
			holders.size()));
	for (const int id : holders)
		shares[id] = share;
	shares[holders.back()] = total - share * (holders.size() - 1);
	return shares;
}

struct Processors {
	unsigned total = 0, sockets = 0;
	std::map<int, unsigned> ofNode;
};

/* Make each node a whole socket if possible: Linux warns if nodes share a cache. */
Processors splitProcessors(const std::vector<NumaNode> &nodes, unsigned wanted)
{
	std::vector<int> holders;
	Processors result;

	for (const NumaNode &node : nodes)
		if (!node.cpus.empty())
			holders.push_back(node.id);
	if (holders.empty())
		fail("no node of the machine has processors");
	const auto count = static_cast<unsigned>(holders.size());

	result.total = wanted ? wanted : count;
	if (result.total > kMaxCpus)
		fail(fmt::format("--cpus must be at most {}", kMaxCpus));
	unsigned left = result.total;

	for (unsigned i = 0; i < count; i++) {
		const unsigned others = count - i, share = (left + others - 1) / others;

		result.ofNode[holders[i]] = share;
		left -= share;
	}
	const bool even = result.ofNode[holders.front()] == result.ofNode[holders.back()];

	result.sockets = even ? count : result.total;
	return result;
}

void addNodes(Arguments &arguments, const MachineDescription &description,
	      const GuestOptions &options)
{
	const auto memory = splitMemory(description.nodes, options.memory);
	const Processors processors = splitProcessors(description.nodes, options.cpus);
	unsigned cpu = 0;

	arguments.add("-m", fmt::format("{}K", options.memory / 1024));
	arguments.add("-smp",
		      fmt::format("{},sockets={},cores={},threads=1", processors.total,
				  processors.sockets, processors.total / processors.sockets));
	for (const auto &[id, size] : memory)
		arguments.add("-object", fmt::format("memory-backend-memfd,id=mem{},size={}K,"
						     "share=on",
						     id, size / 1024));
	std::map<int, const NumaNode *> byId;

	for (const NumaNode &node : description.nodes)
		byId[node.id] = &node;
	for (const auto &[id, node] : byId) {
		std::string text = fmt::format("node,nodeid={}", id);
		const auto found = processors.ofNode.find(id);

		if (found != processors.ofNode.end() && found->second) {
			text += fmt::format(",cpus={}-{}", cpu, cpu + found->second - 1);
			cpu += found->second;
		}
		if (memory.contains(id))
			text += fmt::format(",memdev=mem{}", id);
		arguments.add("-numa", text);
	}
	for (const NumaNode &from : description.nodes)
		for (size_t i = 0; i < description.nodes.size(); i++)
			if (description.nodes[i].id != from.id)
				arguments.add("-numa", fmt::format("dist,src={},dst={},val={}",
								   from.id, description.nodes[i].id,
								   from.distances[i]));
}

std::vector<Function> functionsOf(const MachineDescription &description)
{
	std::vector<Function> functions = {{description.iommu.address, description.iommu.numaNode}};

	for (const auto &accelerator : description.accelerators)
		functions.push_back({accelerator.address, accelerator.numaNode});
	std::sort(functions.begin(), functions.end(), [](const auto &a, const auto &b) {
		return wd::vfio_user::formatAddress(a.address) <
		       wd::vfio_user::formatAddress(b.address);
	});
	return functions;
}

/*
 * Check the limits of QEMU's buses. Beyond them QEMU would use other addresses, or not start.
 */
void checkAddresses(const std::vector<Function> &functions)
{
	std::map<unsigned, int> nodeOfBus;
	std::set<std::pair<unsigned, unsigned>> begun;

	for (const Function &function : functions) {
		const PciAddress &at = function.address;
		const std::string name = wd::vfio_user::formatAddress(at);

		if (at.domain)
			fail(name + ": QEMU's q35 has PCI domain 0 only");
		if (!at.bus && (at.device == kHostBridgeSlot || at.device == kChipsetSlot))
			fail(name + ": the chipset of QEMU's q35 is there");
		if (at.bus && at.device)
			fail(name + ": behind a root port there is only device 0");
		if (!at.function)
			begun.insert({at.bus, at.device});
		if (!begun.contains({at.bus, at.device}))
			fail(name + ": there is no function 0 of the same device");
		const auto [known, isNew] = nodeOfBus.emplace(at.bus, function.node);

		if (at.bus && !isNew && known->second != function.node)
			fail(name + ": functions of one bus have one NUMA node");
	}
}

std::vector<RootBus> rootBuses(const std::vector<Function> &functions)
{
	std::map<unsigned, int> nodeOfBus;
	std::set<unsigned> slots = {kHostBridgeSlot, kChipsetSlot};
	std::vector<RootBus> roots;

	for (const Function &function : functions) {
		if (function.address.bus)
			nodeOfBus[function.address.bus] = function.node;
		else
			slots.insert(function.address.device);
	}
	for (const auto &[bus, node] : nodeOfBus) {
		RootBus *last = roots.empty() ? nullptr : &roots.back();

		if (last && last->buses.back() + 1 == bus && last->node == node &&
		    last->buses.size() < kPortsPerRoot) {
			last->buses.push_back(bus);
			continue;
		}
		if (bus == 1 || (last && last->buses.back() + 1 == bus))
			fail(fmt::format("bus {:02x}: it needs {:02x} as root bus of its own NUMA "
					 "node, which is taken",
					 bus, bus - 1));
		/*
		 * Count down from the top: QEMU puts devices without an address into the low slots.
		 */
		unsigned slot = kChipsetSlot;

		while (slots.contains(slot))
			if (!slot--)
				fail("no slot of the root bus is left for another root bus");
		slots.insert(slot);
		roots.push_back({bus - 1, slot, node, {bus}});
	}
	return roots;
}

void addRootBuses(Arguments &arguments, const std::vector<RootBus> &roots)
{
	unsigned chassis = 0;

	/*
	 * The firmware tables list root buses in reverse. Reverse them here, so that the guest
	 * finds them in ascending order.
	 */
	for (auto at = roots.rbegin(); at != roots.rend(); ++at) {
		const RootBus &root = *at;

		arguments.add("-device",
			      fmt::format("pxb-pcie,id=root{0:02x},bus=pcie.0,addr={1:02x}.0,"
					  "bus_nr={0},numa_node={2}",
					  root.number, root.slot, root.node));
		for (size_t i = 0; i < root.buses.size(); i++) {
			chassis++;
			arguments.add("-device",
				      fmt::format("pcie-root-port,id=port{:02x},bus=root{:02x},"
						  "addr={:02x}.0,chassis={},slot={},hotplug=off",
						  root.buses[i], root.number, i, chassis, chassis));
		}
	}
}

void addFunctions(Arguments &arguments, const std::vector<Function> &functions,
		  const std::string &directory)
{
	std::set<std::pair<unsigned, unsigned>> multi;

	for (const Function &function : functions)
		if (function.address.function)
			multi.insert({function.address.bus, function.address.device});
	for (const Function &function : functions) {
		const PciAddress &at = function.address;
		nlohmann::ordered_json device = {
			{"driver", "vfio-user-pci"},
			{"id", fmt::format("fn{:02x}-{:02x}.{:x}", at.bus, at.device, at.function)},
			{"bus", at.bus ? fmt::format("port{:02x}", at.bus) : "pcie.0"},
			{"addr", fmt::format("{:02x}.{:x}", at.device, at.function)}};

		if (multi.contains({at.bus, at.device}) && !at.function)
			device["multifunction"] = true;
		device["socket"] = {{"type", "unix"},
				    {"path", wd::vfio_user::socketPath(directory, at)}};
		arguments.add("-device", device.dump());
	}
}

} // namespace

uint64_t parseSize(const std::string &text)
{
	static constexpr std::string_view suffixes = "KMGT";
	uint64_t value = 0;
	const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
	const std::string_view rest(result.ptr, text.data() + text.size() - result.ptr);
	unsigned shift = 0;

	if (rest.size() == 1 && suffixes.find(rest[0]) != std::string_view::npos)
		shift = 10 * (static_cast<unsigned>(suffixes.find(rest[0])) + 1);
	else if (!rest.empty())
		shift = 64;
	if (result.ec != std::errc() || shift == 64 || value << shift >> shift != value)
		fail("\"" + text + "\" is not a size (a number with an optional K, M, G or T)");
	return value << shift;
}

std::vector<std::string> qemuArguments(const MachineDescription &description,
				       const GuestOptions &options)
{
	const std::vector<Function> functions = functionsOf(description);
	Arguments arguments;

	checkNodes(description.nodes);
	checkAddresses(functions);
	addNodes(arguments, description, options);
	addRootBuses(arguments, rootBuses(functions));
	addFunctions(arguments, functions, options.directory);
	return arguments.take();
}

} // namespace wdmachine
