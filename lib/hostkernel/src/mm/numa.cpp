// SPDX-License-Identifier: GPL-2.0-only
/* The NUMA nodes of BootConfig, for kernel code and in /sys/devices/system/node. */
#include "numa.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include <linux/topology.h>

#include "core/immortal.h"
#include "driver_core/device_model.h"

namespace wd::hostkernel
{
namespace
{

/*
 * Only boot and shutdown write this, when no caller runs. It is empty before the first boot, since
 * core/fork.cpp saves this object then, but not its heap.
 */
Immortal<std::vector<NodeInfo>> nodesObject;
auto &nodes = *nodesObject;

const NodeInfo *nodeOf(int id)
{
	auto at = std::find_if(nodes.begin(), nodes.end(), [&](auto &n) { return n.id == id; });
	return at == nodes.end() ? nullptr : &*at;
}

/* "0-3,8" */
std::string listOf(std::vector<int> values)
{
	std::sort(values.begin(), values.end());
	std::string text;
	for (size_t i = 0; i < values.size();) {
		size_t end = i;
		while (end + 1 < values.size() && values[end + 1] == values[end] + 1)
			end++;
		text += (text.empty() ? "" : ",") + std::to_string(values[i]);
		if (end > i)
			text += "-" + std::to_string(values[end]);
		i = end + 1;
	}
	return text;
}

void addText(SysfsNode *directory, const char *name, const std::string &text)
{
	SysfsTree::instance().addFile(directory, name, [text](char *page) {
		size_t n = std::min(text.size(), size_t{4096});
		// NOLINTNEXTLINE(bugprone-not-null-terminated-result): the length is the result
		memcpy(page, text.data(), n);
		return static_cast<ssize_t>(n);
	});
}

std::string meminfo(const NodeInfo &node)
{
	char line[128];
	std::string text;
	for (const char *name : {"MemTotal", "MemFree"}) {
		snprintf(line, sizeof(line), "Node %d %s:       %8llu kB\n", node.id, name,
			 static_cast<unsigned long long>(node.memoryBytes >> 10));
		text += line;
	}
	return text;
}

void addNode(SysfsNode *parent, const NodeInfo &node)
{
	SysfsNode *here =
		SysfsTree::instance().addDirectory(parent, "node" + std::to_string(node.id));
	std::string distances;
	for (auto &other : nodes)
		distances += (distances.empty() ? "" : " ") +
			     std::to_string(node_distance(node.id, other.id));
	addText(here, "distance", distances + "\n");
	addText(here, "cpulist", listOf(node.cpus) + "\n");
	addText(here, "meminfo", meminfo(node));
	if (!node.memoryKind.empty())
		addText(here, "memory_kind", node.memoryKind + "\n");
}

} // namespace

void numaStart(const std::vector<NodeInfo> &config)
{
	SysfsTree &tree = SysfsTree::instance();
	nodes = config.empty() ? std::vector<NodeInfo>{NodeInfo{}} : config;
	SysfsNode *system = tree.addDirectory(devicesDirectory(), "system");
	SysfsNode *node = tree.addDirectory(system, "node");
	std::vector<int> ids, withCpus, withMemory;
	for (auto &n : nodes) {
		addNode(node, n);
		ids.push_back(n.id);
		if (!n.cpus.empty())
			withCpus.push_back(n.id);
		if (n.memoryBytes)
			withMemory.push_back(n.id);
	}
	addText(node, "online", listOf(ids) + "\n");
	addText(node, "possible", listOf(ids) + "\n");
	addText(node, "has_cpu", listOf(withCpus) + "\n");
	addText(node, "has_memory", listOf(withMemory) + "\n");
}

} // namespace wd::hostkernel

using namespace wd::hostkernel;

int node_distance(int from, int to)
{
	const NodeInfo *node = nodeOf(from);
	/* @distances has the order of @nodes, which need not be that of the ids. */
	for (size_t i = 0; node && i < nodes.size() && i < node->distances.size(); i++)
		if (nodes[i].id == to)
			return node->distances[i];
	return from == to ? LOCAL_DISTANCE : REMOTE_DISTANCE;
}

int cpu_to_node(int cpu)
{
	for (auto &node : nodes)
		if (std::find(node.cpus.begin(), node.cpus.end(), cpu) != node.cpus.end())
			return node.id;
	return nodes.empty() ? 0 : nodes.front().id;
}

int numa_node_id(void)
{
	return cpu_to_node(raw_smp_processor_id());
}
