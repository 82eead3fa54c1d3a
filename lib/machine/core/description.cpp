// SPDX-License-Identifier: Apache-2.0
/*
 * Machine descriptions as JSON (Documentation/design/machine/description.rst). Strict: an unknown
 * field or value is an error that names the field, so that a typing error never becomes a default.
 */
#include <algorithm>
#include <bit>
#include <charconv>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <system_error>

#include "core/presets.h"
#include "machine/machine.h"

namespace wd::machine
{

namespace
{

using Json = nlohmann::ordered_json;

[[noreturn]] void fail(const std::string &field, const std::string &problem)
{
	throw std::system_error(std::make_error_code(std::errc::invalid_argument),
				"machine description: " + field + ": " + problem);
}

/** A JSON object. The reader takes its members out one by one; finish() refuses those left over. */
class Fields
{
public:
	Fields(const Json &object, std::string path) : object_(object), path_(std::move(path))
	{
		if (!object.is_object())
			fail(path_.empty() ? "top level" : path_, "must be an object");
	}

	std::string name(const std::string &key) const
	{
		return path_.empty() ? key : path_ + "." + key;
	}

	const Json *find(const std::string &key)
	{
		taken_.insert(key);
		auto found = object_.find(key);

		return found == object_.end() ? nullptr : &*found;
	}

	const Json &need(const std::string &key)
	{
		const Json *value = find(key);

		if (!value)
			fail(name(key), "is missing");
		return *value;
	}

	void finish() const
	{
		for (const auto &[key, value] : object_.items())
			if (!taken_.contains(key))
				fail(name(key), "is not a known field");
	}

private:
	const Json &object_;
	std::string path_;
	std::set<std::string> taken_;
};

bool boolean(const Json &json, const std::string &field)
{
	if (!json.is_boolean())
		fail(field, "must be true or false");
	return json.get<bool>();
}

std::string element(const std::string &list, size_t index)
{
	return list + "[" + std::to_string(index) + "]";
}

template <typename T>
bool parseWhole(std::string_view text, T &value, int base)
{
	const auto result = std::from_chars(text.data(), text.data() + text.size(), value, base);

	return result.ec == std::errc() && result.ptr == text.data() + text.size() && !text.empty();
}

/** A number, or a string with a hexadecimal number (JSON has none) or a size suffix. */
uint64_t number(const Json &json, const std::string &field, uint64_t low, uint64_t high)
{
	uint64_t value = 0;

	if (json.is_number_unsigned()) {
		value = json.get<uint64_t>();
	} else if (json.is_string()) {
		std::string text = json.get<std::string>();
		unsigned shift = 0;

		if (text.starts_with("0x")) {
			if (!parseWhole(std::string_view(text).substr(2), value, 16))
				fail(field, "is not a number: \"" + text + "\"");
		} else {
			static constexpr std::string_view suffixes = "KMGT";
			const size_t suffix =
				text.empty() ? std::string::npos : suffixes.find(text.back());

			if (suffix != std::string::npos) {
				shift = 10 * (suffix + 1);
				text.pop_back();
			}
			if (!parseWhole(text, value, 10) || value << shift >> shift != value)
				fail(field, "is not a number: " + json.dump());
			value <<= shift;
		}
	} else {
		fail(field, "must be a number that is not negative");
	}
	if (value < low || value > high)
		fail(field, "must be " + std::to_string(low) + " to " + std::to_string(high));
	return value;
}

std::string text(const Json &json, const std::string &field)
{
	if (!json.is_string())
		fail(field, "must be a string");
	return json.get<std::string>();
}

const Json &list(const Json &json, const std::string &field)
{
	if (!json.is_array())
		fail(field, "must be a list");
	return json;
}

/** "dddd:bb:dd.f" */
PciAddress address(const Json &json, const std::string &field)
{
	const std::string value = text(json, field);
	PciAddress address;
	const std::string_view view = value;

	if (view.size() != 12 || view[4] != ':' || view[7] != ':' || view[10] != '.' ||
	    !parseWhole(view.substr(0, 4), address.domain, 16) ||
	    !parseWhole(view.substr(5, 2), address.bus, 16) ||
	    !parseWhole(view.substr(8, 2), address.device, 16) || address.device > 0x1f ||
	    !parseWhole(view.substr(11), address.function, 16) || address.function > 7)
		fail(field, "is not a PCI address (dddd:bb:dd.f): \"" + value + "\"");
	return address;
}

std::string format(const PciAddress &address)
{
	char buffer[16];

	snprintf(buffer, sizeof(buffer), "%04x:%02x:%02x.%x", address.domain, address.bus,
		 address.device, address.function);
	return buffer;
}

constexpr int kMaxCpu = 8191, kMaxNode = 1023;
constexpr size_t kMaxNodes = 64;

/** A list of numbers, or a string in the kernel's list format ("0-3,8"). */
std::vector<int> cpus(const Json &json, const std::string &field)
{
	std::vector<int> result;

	if (json.is_array()) {
		for (size_t i = 0; i < json.size(); i++)
			result.push_back(
				static_cast<int>(number(json[i], element(field, i), 0, kMaxCpu)));
		return result;
	}
	std::stringstream stream(text(json, field));
	std::string part;

	while (std::getline(stream, part, ',')) {
		const size_t dash = part.find('-');
		int first, last;

		if (!parseWhole(std::string_view(part).substr(0, dash), first, 10) || first < 0)
			fail(field, "is not a list of processors: " + json.dump());
		last = first;
		if (dash != std::string::npos &&
		    !parseWhole(std::string_view(part).substr(dash + 1), last, 10))
			fail(field, "is not a list of processors: " + json.dump());
		if (last < first || last > kMaxCpu)
			fail(field, "has a range that is empty or too large: " + json.dump());
		for (int cpu = first; cpu <= last; cpu++)
			result.push_back(cpu);
	}
	return result;
}

NumaNode parseNode(const Json &json, const std::string &path)
{
	Fields fields(json, path);
	NumaNode node;

	node.id = static_cast<int>(number(fields.need("id"), fields.name("id"), 0, kMaxNode));
	node.cpus = cpus(fields.need("cpus"), fields.name("cpus"));
	node.memoryBytes =
		number(fields.need("memory"), fields.name("memory"), 0, uint64_t{1} << 52);
	if (const Json *kind = fields.find("memoryKind")) {
		node.memoryKind = text(*kind, fields.name("memoryKind"));
		if (node.memoryKind != "ddr" && node.memoryKind != "hbm" &&
		    node.memoryKind != "none")
			fail(fields.name("memoryKind"), "must be \"ddr\", \"hbm\" or \"none\"");
	}
	const std::string name = fields.name("distances");
	const Json &distances = list(fields.need("distances"), name);

	/* ACPI SLIT: 10 is local, 255 unreachable. */
	for (size_t i = 0; i < distances.size(); i++)
		node.distances.push_back(
			static_cast<int>(number(distances[i], element(name, i), 10, 254)));
	fields.finish();
	return node;
}

/* Checks over all nodes: each node alone may be right, and yet not fit the others. */
void checkNodes(const std::vector<NumaNode> &nodes)
{
	std::set<int> ids, cpus;

	for (size_t i = 0; i < nodes.size(); i++) {
		const std::string path = element("nodes", i);

		if (!ids.insert(nodes[i].id).second)
			fail(path + ".id", "is used twice");
		for (int cpu : nodes[i].cpus)
			if (!cpus.insert(cpu).second)
				fail(path + ".cpus", "has processor " + std::to_string(cpu) +
							     " that is already in a node");
		if (nodes[i].distances.size() != nodes.size())
			fail(path + ".distances", "must have one entry for each node");
		for (size_t j = 0; j < nodes.size(); j++)
			if ((nodes[i].distances[j] == 10) != (i == j))
				fail(element(path + ".distances", j),
				     "must be 10 for the node itself and more for others");
	}
}

int nodeOf(Fields &fields, const MachineDescription &description)
{
	const std::string name = fields.name("node");
	const int id = static_cast<int>(number(fields.need("node"), name, 0, kMaxNode));

	for (const NumaNode &node : description.nodes)
		if (node.id == id)
			return id;
	fail(name, "is not the id of a node");
}

IommuDescription parseIommu(const Json &json, const MachineDescription &description)
{
	Fields fields(json, "iommu");
	IommuDescription iommu;

	iommu.address = address(fields.need("address"), fields.name("address"));
	iommu.numaNode = nodeOf(fields, description);
	if (const Json *width = fields.find("hostAddressWidth"))
		iommu.hostAddressWidth = static_cast<unsigned>(
			number(*width, fields.name("hostAddressWidth"), 39, 52));
	if (const Json *cap = fields.find("cap"))
		iommu.cap = number(*cap, fields.name("cap"), 0, UINT64_MAX);
	if (const Json *ecap = fields.find("ecap"))
		iommu.ecap = number(*ecap, fields.name("ecap"), 0, UINT64_MAX);
	fields.finish();
	return iommu;
}

/* All algorithms of a kind, and how the text of an error names them. */
struct KindOfAlgorithms {
	std::string_view name;
	std::vector<std::string> algorithms;
	std::string_view choice;
};

const KindOfAlgorithms &algorithmsOf(AcceleratorKind kind)
{
	static const KindOfAlgorithms kinds[] = {
		{"zip", {"zlib", "gzip", "deflate"}, R"("zlib", "gzip" or "deflate")"},
		{"sec", {"cipher", "digest", "aead"}, R"("cipher", "digest" or "aead")"}};

	return kinds[static_cast<size_t>(kind)];
}

AcceleratorKind kindOf(const Json &json, const std::string &field)
{
	const std::string name = text(json, field);

	for (AcceleratorKind kind : {AcceleratorKind::Zip, AcceleratorKind::Sec})
		if (name == algorithmsOf(kind).name)
			return kind;
	fail(field, "must be \"zip\" or \"sec\"");
}

std::vector<std::string> algorithms(const Json &json, const std::string &field,
				    const KindOfAlgorithms &kind)
{
	std::vector<std::string> result;

	for (size_t i = 0; i < list(json, field).size(); i++) {
		const std::string name = text(json[i], element(field, i));

		if (std::find(kind.algorithms.begin(), kind.algorithms.end(), name) ==
		    kind.algorithms.end())
			fail(element(field, i), "must be " + std::string(kind.choice));
		if (std::find(result.begin(), result.end(), name) != result.end())
			fail(element(field, i), "is there twice");
		result.push_back(name);
	}
	if (result.empty())
		fail(field, "must not be empty");
	return result;
}

constexpr std::string_view kPins = "ABCD";

unsigned interruptPin(const Json &json, const std::string &field)
{
	const std::string name = text(json, field);
	const size_t pin = name.size() == 1 ? kPins.find(name) : std::string::npos;

	if (pin == std::string::npos && name != "none")
		fail(field, "must be \"none\", \"A\", \"B\", \"C\" or \"D\"");
	return pin == std::string::npos ? 0 : static_cast<unsigned>(pin) + 1;
}

std::string pinName(unsigned pin)
{
	return pin ? std::string(1, kPins[pin - 1]) : "none";
}

AcceleratorDescription parseAccelerator(const Json &json, const std::string &path,
					const MachineDescription &description)
{
	Fields fields(json, path);
	AcceleratorDescription accelerator;

	accelerator.address = address(fields.need("address"), fields.name("address"));
	accelerator.numaNode = nodeOf(fields, description);
	if (const Json *revision = fields.find("revision"))
		accelerator.revision = static_cast<unsigned>(
			number(*revision, fields.name("revision"), 0x30, 0x30));
	if (const Json *queues = fields.find("queues"))
		accelerator.queues =
			static_cast<unsigned>(number(*queues, fields.name("queues"), 1, 1024));
	if (const Json *kind = fields.find("kind"))
		accelerator.kind = kindOf(*kind, fields.name("kind"));
	const KindOfAlgorithms &offered = algorithmsOf(accelerator.kind);

	accelerator.algorithms = offered.algorithms;
	if (const Json *names = fields.find("algorithms"))
		accelerator.algorithms = algorithms(*names, fields.name("algorithms"), offered);
	if (const Json *doorbells = fields.find("doorbells")) {
		const std::string mode = text(*doorbells, fields.name("doorbells"));

		if (mode != "shared" && mode != "trapped")
			fail(fields.name("doorbells"), "must be \"shared\" or \"trapped\"");
		accelerator.doorbells =
			mode == "shared" ? DoorbellMode::Shared : DoorbellMode::Trapped;
	}
	if (const Json *pin = fields.find("interruptPin"))
		accelerator.interruptPin = interruptPin(*pin, fields.name("interruptPin"));
	if (const Json *rom = fields.find("rom")) {
		accelerator.romBytes = number(*rom, fields.name("rom"), 0, 16 << 20);
		if (accelerator.romBytes &&
		    (accelerator.romBytes < 2048 || !std::has_single_bit(accelerator.romBytes)))
			fail(fields.name("rom"), "must be 0 or a power of two from 2K to 16M");
	}
	if (const Json *acs = fields.find("acs"))
		accelerator.acs = boolean(*acs, fields.name("acs"));
	fields.finish();
	return accelerator;
}

PortDescription parsePort(const Json &json, const std::string &path,
			  const MachineDescription &description)
{
	Fields fields(json, path);
	PortDescription port;

	port.address = address(fields.need("address"), fields.name("address"));
	port.numaNode = nodeOf(fields, description);
	port.bus = static_cast<uint8_t>(number(fields.need("bus"), fields.name("bus"), 1, 0xff));
	fields.finish();
	if (port.bus <= port.address.bus)
		fail(path + ".bus", "must be greater than the bus of the port");
	return port;
}

/* Root ports are on root buses. The bus below has one port, and is a link to one device. */
void checkPorts(const MachineDescription &description)
{
	std::set<unsigned> buses;

	for (size_t i = 0; i < description.ports.size(); i++)
		if (!buses.insert(description.ports[i].bus).second)
			fail(element("ports", i) + ".bus", "is below another port, too");
	for (size_t i = 0; i < description.ports.size(); i++)
		if (buses.contains(description.ports[i].address.bus))
			fail(element("ports", i) + ".address", "is below a port");
	if (buses.contains(description.iommu.address.bus))
		fail("iommu.address", "is below a port");
	for (size_t i = 0; i < description.accelerators.size(); i++) {
		const PciAddress &address = description.accelerators[i].address;

		if (buses.contains(address.bus) && address.device)
			fail(element("accelerators", i) + ".address",
			     "is below a port, where there is device 0 only");
	}
}

/* One IOMMU serves one PCI domain, since a requester id does not tell the domain. */
void checkAddresses(const MachineDescription &description)
{
	std::set<std::string> used = {format(description.iommu.address)};

	for (size_t i = 0; i < description.accelerators.size(); i++) {
		const PciAddress &address = description.accelerators[i].address;
		const std::string field = element("accelerators", i) + ".address";

		if (!used.insert(format(address)).second)
			fail(field, "is used twice: " + format(address));
		if (address.domain != description.iommu.address.domain)
			fail(field, "is not in the PCI domain of the IOMMU");
	}
	for (size_t i = 0; i < description.ports.size(); i++) {
		const PciAddress &address = description.ports[i].address;
		const std::string field = element("ports", i) + ".address";

		if (!used.insert(format(address)).second)
			fail(field, "is used twice: " + format(address));
		if (address.domain != description.iommu.address.domain)
			fail(field, "is not in the PCI domain of the IOMMU");
	}
}

Json parseText(std::string_view text)
{
	/* The parser alone would silently keep one of two members with the same name. */
	std::vector<std::set<std::string>> names;
	auto watch = [&](int, Json::parse_event_t event, Json &value) {
		if (event == Json::parse_event_t::object_start)
			names.emplace_back();
		else if (event == Json::parse_event_t::object_end)
			names.pop_back();
		else if (event == Json::parse_event_t::key &&
			 !names.back().insert(value.get<std::string>()).second)
			fail(value.get<std::string>(), "is there twice");
		return true;
	};

	try {
		return Json::parse(text, watch);
	} catch (const nlohmann::json::exception &error) {
		fail("JSON text", error.what());
	}
}

} // namespace

MachineDescription MachineDescription::fromJson(std::string_view text)
{
	const Json json = parseText(text);
	Fields fields(json, "");
	MachineDescription description;

	description.name = machine::text(fields.need("name"), "name");
	const Json &nodes = list(fields.need("nodes"), "nodes");

	if (nodes.empty() || nodes.size() > kMaxNodes)
		fail("nodes", "must have 1 to " + std::to_string(kMaxNodes) + " entries");
	for (size_t i = 0; i < nodes.size(); i++)
		description.nodes.push_back(parseNode(nodes[i], element("nodes", i)));
	checkNodes(description.nodes);
	description.iommu = parseIommu(fields.need("iommu"), description);
	const Json &accelerators = list(fields.need("accelerators"), "accelerators");

	for (size_t i = 0; i < accelerators.size(); i++)
		description.accelerators.push_back(
			parseAccelerator(accelerators[i], element("accelerators", i), description));
	if (const Json *ports = fields.find("ports"))
		for (size_t i = 0; i < list(*ports, "ports").size(); i++)
			description.ports.push_back(
				parsePort((*ports)[i], element("ports", i), description));
	checkAddresses(description);
	checkPorts(description);
	if (const Json *threads = fields.find("engineThreads"))
		description.engineThreads =
			static_cast<unsigned>(number(*threads, "engineThreads", 0, 256));
	fields.finish();
	return description;
}

MachineDescription MachineDescription::fromFile(const std::string &path)
{
	std::ifstream file(path);
	std::stringstream content;

	if (!file)
		throw std::system_error(errno, std::generic_category(),
					"open machine description " + path);
	content << file.rdbuf();
	try {
		return fromJson(content.str());
	} catch (const std::system_error &error) {
		throw std::system_error(error.code(), path + ": " + error.what());
	}
}

MachineDescription MachineDescription::preset(std::string_view name)
{
	for (const Preset &preset : kPresets)
		if (preset.name == name)
			return fromJson(preset.json);
	fail("preset", "there is none called \"" + std::string(name) + "\"");
}

std::vector<std::string> MachineDescription::presetNames()
{
	std::vector<std::string> names;

	for (const Preset &preset : kPresets)
		names.emplace_back(preset.name);
	return names;
}

std::string MachineDescription::toJson() const
{
	Json json = {{"name", name}, {"nodes", Json::array()}};

	for (const NumaNode &node : nodes)
		json["nodes"].push_back({{"id", node.id},
					 {"cpus", node.cpus},
					 {"memory", node.memoryBytes},
					 {"memoryKind", node.memoryKind},
					 {"distances", node.distances}});
	json["iommu"] = {{"address", format(iommu.address)},
			 {"node", iommu.numaNode},
			 {"hostAddressWidth", iommu.hostAddressWidth},
			 {"cap", iommu.cap},
			 {"ecap", iommu.ecap}};
	json["accelerators"] = Json::array();
	for (const AcceleratorDescription &accelerator : accelerators)
		json["accelerators"].push_back(
			{{"address", format(accelerator.address)},
			 {"node", accelerator.numaNode},
			 {"kind", algorithmsOf(accelerator.kind).name},
			 {"revision", accelerator.revision},
			 {"queues", accelerator.queues},
			 {"algorithms", accelerator.algorithms},
			 {"doorbells",
			  accelerator.doorbells == DoorbellMode::Shared ? "shared" : "trapped"},
			 {"interruptPin", pinName(accelerator.interruptPin)},
			 {"rom", accelerator.romBytes},
			 {"acs", accelerator.acs}});
	for (const PortDescription &port : ports)
		json["ports"].push_back({{"address", format(port.address)},
					 {"node", port.numaNode},
					 {"bus", port.bus}});
	json["engineThreads"] = engineThreads;
	return json.dump(2) + "\n";
}

} // namespace wd::machine
