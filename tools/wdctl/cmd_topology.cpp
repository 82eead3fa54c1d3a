// SPDX-License-Identifier: Apache-2.0
/* wdctl topology: the parts of the machine, and the nearest accelerator. */
#include <fmt/format.h>
#include <iostream>
#include <optional>

#include "base/text.h"
#include "command.h"
#include "wd/accelerator.h"
#include "wd/attachments.h"

namespace wdctl
{
namespace
{

struct TopologyOptions {
	bool nearest = false, attachments = false;
	std::string algorithm;
	std::optional<int> from;
};

std::string distanceText(const wd::Topology &topology, int from, const wd::Accelerator &accelerator)
{
	auto distance = topology.distance(from, accelerator.node);

	return distance ? fmt::format("{}", *distance) : "unknown";
}

void printText(const wd::Host &host, const wd::Topology &topology, const TopologyOptions &options,
	       int from)
{
	auto list = topology.byDistance(options.algorithm, from);
	const auto *nearest = topology.nearest(options.algorithm, from);
	std::vector<std::vector<std::string>> rows{{"", "NODE", "CPUS", "MEMORY", "DISTANCES"}};

	fmt::print("Host: {}\n\nNUMA nodes\n", host.kind());
	for (const auto &node : topology.nodes()) {
		auto memory = humanBytes(node.memoryBytes);

		if (!node.memoryKind.empty())
			memory += " " + node.memoryKind;
		rows.push_back({node.id == from ? ">" : "", fmt::format("{}", node.id),
				cpuList(node.cpus), memory,
				fmt::format("{}", fmt::join(node.distances, " "))});
	}
	fmt::print("{}\nAccelerators{}\n", table(rows, "  "),
		   options.algorithm.empty() ? "" : " for " + options.algorithm);
	rows = {{"", "NAME", "NODE", "DISTANCE", "QUEUES FREE", "DMA MODE", "ALGORITHMS",
		 "PCI ADDRESS"}};
	for (const auto *accelerator : list) {
		auto queues = fmt::format("{}", accelerator->available);

		if (accelerator->total)
			queues += fmt::format(" of {}", *accelerator->total);
		rows.push_back({accelerator == nearest ? "*" : "", accelerator->name,
				fmt::format("{}", accelerator->node),
				distanceText(topology, from, *accelerator), queues,
				accelerator->dmaMode.empty() ? "-" : accelerator->dmaMode,
				wd::joined(accelerator->algorithms, " "), accelerator->pciAddress});
	}
	fmt::print("{}", list.empty() ? "  none\n" : table(rows, "  "));
	for (const auto &skipped : topology.skipped())
		fmt::print("  {} is not usable: {}\n", skipped.name, skipped.reason);
	fmt::print("\n> here (node {}), * nearest{}\n", from,
		   nearest	  ? ": " + nearest->name
		   : list.empty() ? ": there is none"
				  : ": none has a free queue");
}

nlohmann::ordered_json toJson(const wd::Host &host, const wd::Topology &topology,
			      const TopologyOptions &options, int from)
{
	auto list = topology.byDistance(options.algorithm, from);
	const auto *nearest = topology.nearest(options.algorithm, from);
	nlohmann::ordered_json value;

	value["host"] = host.kind();
	value["here"] = from;
	value["nodes"] = nlohmann::ordered_json::array();
	for (const auto &node : topology.nodes())
		value["nodes"].push_back({{"id", node.id},
					  {"cpus", node.cpus},
					  {"memory_bytes", node.memoryBytes},
					  {"memory_kind", node.memoryKind},
					  {"distances", node.distances}});
	value["accelerators"] = nlohmann::ordered_json::array();
	for (const auto *accelerator : list) {
		nlohmann::ordered_json entry{{"name", accelerator->name},
					     {"pci_address", accelerator->pciAddress},
					     {"node", accelerator->node}};
		auto distance = topology.distance(from, accelerator->node);

		entry["distance"] = distance ? nlohmann::ordered_json(*distance) : nullptr;
		entry["algorithms"] = accelerator->algorithms;
		entry["api"] = accelerator->api;
		entry["queues_free"] = accelerator->available;
		entry["dma_mode"] = accelerator->dmaMode;
		entry["dma_modes"] = accelerator->dmaModes;
		entry["queues_total"] =
			accelerator->total ? nlohmann::ordered_json(*accelerator->total) : nullptr;
		entry["isolated"] = accelerator->isolated;
		entry["nearest"] = accelerator == nearest;
		value["accelerators"].push_back(entry);
	}
	value["skipped"] = nlohmann::ordered_json::array();
	for (const auto &skipped : topology.skipped())
		value["skipped"].push_back({{"name", skipped.name}, {"reason", skipped.reason}});
	return value;
}

int showAttachments(const Globals &globals, wd::Host &host)
{
	const auto attachments = wd::readAttachments(host);

	if (!globals.json) {
		fmt::print("{}", attachments.list.empty() ? "no IOMMU of ours has a device\n"
							  : wd::drawAttachments(attachments));
		return kOk;
	}
	nlohmann::ordered_json value{{"attachments", nlohmann::ordered_json::array()},
				     {"more", attachments.more}};

	for (const auto &place : attachments.list)
		value["attachments"].push_back(
			{{"unit", place.unit},
			 {"domain", place.domain},
			 {"type", place.type},
			 {"device", place.device},
			 {"pasid", place.pasid ? nlohmann::ordered_json(place.pasid) : nullptr},
			 {"nested", place.nested}});
	printJson(value);
	return kOk;
}

int runTopology(const Globals &globals, const TopologyOptions &options)
{
	auto host = globals.openHost();

	if (options.attachments)
		return showAttachments(globals, *host);
	auto topology = wd::Topology::discover(*host);
	int from = options.from.value_or(topology.here());

	if (options.nearest) {
		const auto &found = topology.require(options.algorithm, from);

		if (globals.json)
			printJson({{"nearest", found.name}});
		else
			fmt::print("{}\n", found.name);
		return kOk;
	}
	if (!options.algorithm.empty() && topology.byDistance(options.algorithm, from).empty())
		topology.require(options.algorithm, from); /* throws, because it is unknown */
	if (globals.json)
		printJson(toJson(*host, topology, options, from));
	else
		printText(*host, topology, options, from);
	return kOk;
}

} // namespace

void addTopology(CLI::App &app, Globals &globals, Action &action)
{
	auto options = std::make_shared<TopologyOptions>();
	auto *verb =
		app.add_subcommand("topology", "NUMA nodes, accelerators, and the nearest one");

	auto *nearest = verb->add_flag("--nearest", options->nearest,
				       "print the nearest accelerator's name only");

	auto *algorithm = verb->add_option("--alg", options->algorithm,
					   "only accelerators for this algorithm")
				  ->check(notEmpty());
	auto *from = verb->add_option("--from", options->from, "node to look from (default: here)");

	verb->add_flag("--attachments", options->attachments,
		       "page tables in the IOMMU: which device and PASID uses which domain")
		->excludes(nearest)
		->excludes(algorithm)
		->excludes(from);
	verb->callback([&globals, &action, options] {
		action = [&globals, options] { return runTopology(globals, *options); };
	});
}

} // namespace wdctl
