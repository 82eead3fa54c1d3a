// SPDX-License-Identifier: Apache-2.0
#include "wd/accelerator.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <tuple>

#include "base/text.h"
#include "discovery.h"

namespace wd
{

namespace
{

/** For an unknown distance: farther than any in a SLIT, where a distance is one byte. */
constexpr int kUnknownDistance = 256;

bool usable(const Accelerator &device)
{
	return !device.isolated && device.available > 0;
}

/** "hisi_zip-2" before "hisi_zip-10": runs of digits are compared as numbers. */
bool nameBefore(const std::string &a, const std::string &b)
{
	const auto digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
	const auto number = [&](const std::string &text, size_t &at) {
		while (at < text.size() && text[at] == '0')
			at++;
		const size_t begin = at;
		while (at < text.size() && digit(text[at]))
			at++;
		return std::string_view(text).substr(begin, at - begin);
	};
	size_t i = 0, j = 0;
	while (i < a.size() && j < b.size()) {
		if (digit(a[i]) && digit(b[j])) {
			const std::string_view left = number(a, i), right = number(b, j);
			if (left.size() != right.size())
				return left.size() < right.size();
			if (left != right)
				return left < right;
		} else if (a[i] != b[j]) {
			return a[i] < b[j];
		} else {
			i++;
			j++;
		}
	}
	/* One name is the beginning of the other, or they differ only in leading zeros. */
	const size_t restA = a.size() - i, restB = b.size() - j;
	return restA || restB ? !restA : a < b;
}

/** The node where the caller runs. @throws Error if WD_NODE is set to something else */
int nodeOfCaller(Host &host)
{
	const int node = host.currentNode();
	if (node >= 0)
		return node;
	const char *text = ::secure_getenv("WD_NODE");
	throw Error(-node, "WD_NODE='" + std::string(text ? text : "") + "'",
		    "take it as the NUMA node of this program", "give the number of a node");
}

} // namespace

void Topology::requireNode(int node) const
{
	const bool known = std::any_of(nodes_.begin(), nodes_.end(),
				       [&](const MachineNode &n) { return n.id == node; });
	if (!known && !nodes_.empty())
		throw Error(EINVAL, "node " + std::to_string(node), "look from there",
			    "name a node that the machine has");
}

Topology Topology::discover(Host &host)
{
	Topology topology;
	topology.nodes_ = readNodes(host);
	topology.here_ = nodeOfCaller(host);
	topology.requireNode(topology.here_);
	std::vector<std::string> names;
	const int error = host.sysfsList("/sys/class/uacce", names);
	if (error == -ESTALE)
		throw Error(ESTALE, "host", "look at its devices",
			    "it is that of the process that forked this one: open one here");
	if (error)
		names.clear();
	std::sort(names.begin(), names.end(), nameBefore);
	for (const std::string &name : names) {
		Accelerator device;
		if (auto reason = readAccelerator(host, name, device))
			topology.skipped_.push_back({name, *reason});
		else
			topology.accelerators_.push_back(std::move(device));
	}
	for (SkippedDevice &device : readUnclaimed(host))
		topology.skipped_.push_back(std::move(device));
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
	/* The kernel's list has one distance for each existing node, in ascending order. */
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
	requireNode(from);
	std::vector<const Accelerator *> result;
	for (const Accelerator &device : accelerators_)
		if (algorithm.empty() || device.supports(algorithm))
			result.push_back(&device);
	const auto key = [&](const Accelerator *device) {
		return std::make_tuple(!usable(*device),
				       distance(from, device->node).value_or(kUnknownDistance),
				       std::numeric_limits<unsigned>::max() - device->available);
	};
	/* A stable sort: the list is sorted by name, and that order decides among equals. */
	std::stable_sort(
		result.begin(), result.end(),
		[&](const Accelerator *a, const Accelerator *b) { return key(a) < key(b); });
	return result;
}

const Accelerator *Topology::nearest(std::string_view algorithm, int from) const
{
	const auto order = byDistance(algorithm, from);
	return order.empty() || !usable(*order.front()) ? nullptr : order.front();
}

/** For the error of a host that has no usable accelerator. */
std::string Topology::skippedText() const
{
	std::string text = "this host has no accelerator";
	for (const SkippedDevice &device : skipped_)
		text += (&device == &skipped_.front() ? " that works: " : ", ") + device.name +
			" (" + device.reason + ")";
	return text;
}

const Accelerator &Topology::require(std::string_view algorithm, int from) const
{
	const auto order = byDistance(algorithm, from);
	if (order.empty() && algorithm.empty())
		throw Error(ENODEV, "accelerators", "find one", skippedText());
	if (order.empty()) {
		std::vector<std::string> known;
		for (const Accelerator &device : accelerators_)
			for (const std::string &name : device.algorithms)
				if (std::find(known.begin(), known.end(), name) == known.end())
					known.push_back(name);
		throw Error(EINVAL, "algorithm '" + std::string(algorithm) + "'",
			    "find an accelerator for it",
			    known.empty() ? skippedText() : "there are: " + joined(known));
	}
	if (!usable(*order.front()))
		throw Error(EBUSY,
			    algorithm.empty() ? "accelerators"
					      : "algorithm '" + std::string(algorithm) + "'",
			    "find an accelerator with a free queue",
			    "every queue is taken: close a program that uses one");
	return *order.front();
}

} // namespace wd
