// SPDX-License-Identifier: Apache-2.0
#include "wd/accelerator.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <tuple>

#include "discovery.hpp"

namespace wd
{

namespace
{

/** Farther than any distance of a SLIT (a byte): for devices and nodes that do not say. */
constexpr int kUnknownDistance = 256;

bool usable(const Accelerator &device)
{
	return !device.isolated && device.available > 0;
}

std::string joined(const std::vector<std::string> &names)
{
	std::string text;
	for (const std::string &name : names)
		text += (text.empty() ? "" : ", ") + name;
	return text;
}

} // namespace

Topology Topology::discover(Host &host)
{
	Topology topology;
	topology.nodes_ = readNodes(host);
	topology.here_ = host.currentNode();
	std::vector<std::string> names;
	if (host.sysfsList("/sys/class/uacce", names))
		return topology;
	for (const std::string &name : names) {
		Accelerator device;
		if (auto reason = readAccelerator(host, name, device))
			topology.skipped_.push_back({name, *reason});
		else
			topology.accelerators_.push_back(std::move(device));
	}
	return topology;
}

std::optional<int> Topology::distance(int from, int to) const
{
	const auto isNode = [](int id) {
		return [id](const MachineNode &node) { return node.id == id; };
	};
	const auto source = std::find_if(nodes_.begin(), nodes_.end(), isNode(from));
	const auto target = std::find_if(nodes_.begin(), nodes_.end(), isNode(to));
	if (source == nodes_.end() || target == nodes_.end())
		return std::nullopt;
	/* The kernel lists the distances to the nodes that there are, in ascending order. */
	const auto column = static_cast<size_t>(target - nodes_.begin());
	if (column >= source->distances.size())
		return std::nullopt;
	return source->distances[column];
}

const Accelerator *Topology::find(std::string_view name) const
{
	const auto it = std::find_if(accelerators_.begin(), accelerators_.end(),
				     [&](const Accelerator &a) { return a.name == name; });
	return it == accelerators_.end() ? nullptr : &*it;
}

const Accelerator &Topology::get(std::string_view name) const
{
	if (const Accelerator *device = find(name))
		return *device;
	for (const SkippedDevice &device : skipped_)
		if (device.name == name)
			throw Error(ENODEV, std::string(name), "use it: " + device.reason);
	std::vector<std::string> names;
	for (const Accelerator &device : accelerators_)
		names.push_back(device.name);
	throw Error(ENODEV, std::string(name), "find the accelerator",
		    names.empty() ? "this host has none" : "there are: " + joined(names));
}

std::vector<const Accelerator *> Topology::byDistance(std::string_view algorithm, int from) const
{
	std::vector<const Accelerator *> result;
	for (const Accelerator &device : accelerators_)
		if (device.supports(algorithm))
			result.push_back(&device);
	const auto key = [&](const Accelerator *device) {
		return std::make_tuple(!usable(*device),
				       distance(from, device->node).value_or(kUnknownDistance),
				       std::numeric_limits<unsigned>::max() - device->available,
				       std::string_view(device->name));
	};
	std::sort(result.begin(), result.end(),
		  [&](const Accelerator *a, const Accelerator *b) { return key(a) < key(b); });
	return result;
}

const Accelerator *Topology::nearest(std::string_view algorithm, int from) const
{
	const auto order = byDistance(algorithm, from);
	return order.empty() || !usable(*order.front()) ? nullptr : order.front();
}

const Accelerator &Topology::require(std::string_view algorithm, int from) const
{
	const auto order = byDistance(algorithm, from);
	if (order.empty()) {
		std::vector<std::string> known;
		for (const Accelerator &device : accelerators_)
			for (const std::string &name : device.algorithms)
				if (std::find(known.begin(), known.end(), name) == known.end())
					known.push_back(name);
		throw Error(EINVAL, "algorithm '" + std::string(algorithm) + "'",
			    "find an accelerator for it",
			    known.empty() ? "this host has no accelerator"
					  : "there are: " + joined(known));
	}
	if (!usable(*order.front()))
		throw Error(EBUSY, "algorithm '" + std::string(algorithm) + "'",
			    "find an accelerator with a free queue",
			    "every queue is taken: close a program that uses one");
	return *order.front();
}

} // namespace wd
