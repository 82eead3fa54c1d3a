// SPDX-License-Identifier: Apache-2.0
#include "discovery.h"

#include <algorithm>
#include <sstream>

#include "attributes.h"

namespace wd
{

namespace
{

constexpr const char *kNodes = "/sys/devices/system/node";
constexpr size_t kMaxListLength = 65536;

std::optional<int> nodeNumber(const std::string &name)
{
	return name.starts_with("node") ? parseNumber<int>(std::string_view(name).substr(4))
					: std::nullopt;
}

/** "Node 0 MemTotal:  4096 kB" among other lines. */
uint64_t memoryTotal(const std::string &meminfo)
{
	const size_t at = meminfo.find("MemTotal:");
	if (at == std::string::npos)
		return 0;
	std::istringstream in(meminfo.substr(at + 9));
	uint64_t kilobytes = 0;
	in >> kilobytes;
	return in ? kilobytes << 10 : 0;
}

std::vector<int> distances(const std::string &text)
{
	std::istringstream in(text);
	std::vector<int> result;
	for (int value; in >> value;)
		result.push_back(value);
	return result;
}

MachineNode readNode(Host &host, int id)
{
	MachineNode node;
	node.id = id;
	const std::string directory = std::string(kNodes) + "/node" + std::to_string(id);
	std::string text;
	if (!host.sysfsRead(directory + "/cpulist", text))
		node.cpus = parseCpuList(text).value_or(std::vector<int>());
	if (!host.sysfsRead(directory + "/distance", text))
		node.distances = distances(text);
	if (!host.sysfsRead(directory + "/meminfo", text))
		node.memoryBytes = memoryTotal(text);
	if (!host.sysfsRead(directory + "/memory_kind", text))
		node.memoryKind = text;
	return node;
}

} // namespace

std::optional<std::vector<int>> parseCpuList(std::string_view text)
{
	std::vector<int> result;
	if (text.find_first_not_of(" \t\n") == std::string_view::npos)
		return result;
	for (size_t begin = 0; begin <= text.size();) {
		const size_t end = std::min(text.find(',', begin), text.size());
		const std::string_view part = text.substr(begin, end - begin);
		const size_t dash = part.find('-');
		const auto first = parseNumber<int>(part.substr(0, dash));
		const auto last = dash == std::string_view::npos
					  ? first
					  : parseNumber<int>(part.substr(dash + 1));
		if (!first || !last || *first < 0 || *last < *first ||
		    static_cast<size_t>(*last - *first) >= kMaxListLength - result.size())
			return std::nullopt;
		for (int cpu = *first; cpu <= *last; cpu++)
			result.push_back(cpu);
		begin = end + 1;
	}
	return result;
}

std::vector<MachineNode> readNodes(Host &host)
{
	std::vector<std::string> names;
	std::vector<MachineNode> nodes;
	if (host.sysfsList(kNodes, names))
		return nodes;
	std::vector<int> ids;
	for (const std::string &name : names)
		if (const auto id = nodeNumber(name); id && *id >= 0)
			ids.push_back(*id);
	std::sort(ids.begin(), ids.end());
	for (int id : ids)
		nodes.push_back(readNode(host, id));
	return nodes;
}

} // namespace wd
