// SPDX-License-Identifier: Apache-2.0
#include "qemu_args.hpp"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace wdmachine
{

namespace
{

using wd::machine::MachineDescription;
using wd::machine::PciAddress;

constexpr uint64_t kMemoryUnit = uint64_t{2} << 20;
constexpr int kMaxNode = 127;
/* pcie.0 of q35: 0 is the host bridge, 0x1f the chip set; bridges of ours from 0x10 on. */
constexpr unsigned kFirstBridgeSlot = 0x10, kLastBridgeSlot = 0x1e;

struct Place {
	PciAddress address;
	int node = -1;
};

[[noreturn]] void refuse(const std::string &what)
{
	wd::throwErrno(EINVAL, what);
}

std::string text(const PciAddress &a)
{
	return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", a.domain, a.bus, a.device, a.function);
}

std::vector<Place> placesOf(const MachineDescription &machine)
{
	std::vector<Place> places{{machine.iommu.address, machine.iommu.numaNode}};

	for (const auto &accelerator : machine.accelerators)
		places.push_back({accelerator.address, accelerator.numaNode});
	for (const Place &place : places) {
		const PciAddress &at = place.address;

		if (at.domain)
			refuse(text(at) + ": QEMU has PCI domain 0 only");
		if (!at.bus &&
		    (!at.device || at.device > kLastBridgeSlot || at.device >= kFirstBridgeSlot))
			refuse(text(at) + ": on bus 0 only devices 1 to f are free");
		if (at.bus && at.device)
			refuse(text(at) + ": only device 0 exists behind a root port");
		if (at.bus == 1)
			refuse(text(at) + ": bus 1 leaves no number for its host bridge");
	}
	return places;
}

void addNodes(std::vector<std::string> &out, const MachineDescription &machine,
	      const GuestSize &size)
{
	const unsigned nodes = static_cast<unsigned>(machine.nodes.size());
	const unsigned cpus = size.cpus ? size.cpus : nodes;
	const uint64_t share = size.memoryBytes / nodes / kMemoryUnit * kMemoryUnit;

	if (!share)
		refuse(fmt::format("{} bytes of memory are less than 2 MiB for each of {} nodes",
				   size.memoryBytes, nodes));
	/* A package for each processor: Linux wants no package to lie in two nodes. */
	out.insert(out.end(), {"-smp", fmt::format("{0},sockets={0},cores=1,threads=1", cpus), "-m",
			       fmt::format("{}M", share * nodes >> 20)});
	for (unsigned i = 0; i < nodes; i++) {
		const int id = machine.nodes[i].id;
		const unsigned first = i * cpus / nodes, end = (i + 1) * cpus / nodes;

		if (id > kMaxNode)
			refuse(fmt::format("node {}: QEMU has nodes 0 to {}", id, kMaxNode));
		out.insert(out.end(),
			   {"-object",
			    fmt::format("memory-backend-memfd,id=ram{},size={},share=on,seal=on",
					id, share),
			    "-numa",
			    fmt::format("node,nodeid={0},memdev=ram{0}{1}", id,
					first < end ? fmt::format(",cpus={}-{}", first, end - 1)
						    : "")});
	}
	for (unsigned i = 0; i < nodes; i++)
		for (unsigned j = 0; j < nodes; j++)
			if (i != j)
				out.insert(out.end(),
					   {"-numa",
					    fmt::format("dist,src={},dst={},val={}",
							machine.nodes[i].id, machine.nodes[j].id,
							machine.nodes[i].distances[j])});
}

/* A host bridge on the node and a root port behind it, so that the function's bus is @bus. */
void addBridge(std::vector<std::string> &out, unsigned bus, int node, unsigned slot)
{
	out.insert(out.end(),
		   {"-device",
		    fmt::format("pxb-pcie,id=pxb{0:02x},bus=pcie.0,addr={1:x},bus_nr={2},"
				"numa_node={3}",
				bus, slot, bus - 1, node),
		    "-device",
		    fmt::format("pcie-root-port,id=rp{0:02x},bus=pxb{0:02x},addr=0,chassis={1},"
				"slot=0",
				bus, bus)});
}

void addFunction(std::vector<std::string> &out, const PciAddress &at, const std::string &sockets)
{
	const nlohmann::ordered_json device{
		{"driver", "vfio-user-pci"},
		{"id", fmt::format("fn{:02x}{:02x}{:x}", at.bus, at.device, at.function)},
		{"bus", at.bus ? fmt::format("rp{:02x}", at.bus) : "pcie.0"},
		{"addr", fmt::format("{:x}.{:x}", at.device, at.function)},
		{"multifunction", true},
		{"socket", {{"type", "unix"}, {"path", sockets + "/" + socketName(at)}}}};

	out.insert(out.end(), {"-device", device.dump()});
}

} // namespace

std::string socketName(const PciAddress &address)
{
	return text(address) + ".sock";
}

std::vector<std::string> qemuArguments(const MachineDescription &machine,
				       const std::string &sockets, const GuestSize &size)
{
	std::vector<std::string> out;
	std::vector<Place> places = placesOf(machine);
	std::map<unsigned, int> buses; /* to their nodes */

	addNodes(out, machine, size);
	for (const Place &place : places) {
		const unsigned bus = place.address.bus;

		if (!bus)
			continue;
		if (!buses.emplace(bus, place.node).second && buses[bus] != place.node)
			refuse(text(place.address) + ": functions of one bus are on one node");
	}
	unsigned slot = kFirstBridgeSlot;

	/* QEMU lists the host bridges to the guest in the opposite order: lowest bus first. */
	for (auto it = buses.rbegin(); it != buses.rend(); ++it) {
		const auto &[bus, node] = *it;

		if (buses.contains(bus - 1))
			refuse(fmt::format(
				"bus {:02x}: the number before it is needed for its host "
				"bridge, and is taken",
				bus));
		if (slot > kLastBridgeSlot)
			refuse(fmt::format("more than {} buses",
					   kLastBridgeSlot - kFirstBridgeSlot + 1));
		addBridge(out, bus, node, slot++);
	}
	for (const Place &place : places)
		addFunction(out, place.address, sockets);
	return out;
}

} // namespace wdmachine
