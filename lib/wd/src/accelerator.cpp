// SPDX-License-Identifier: Apache-2.0
#include "wd/accelerator.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <sstream>

#include "algorithm_driver.h"
#include "attributes.h"
#include "discovery.h"

namespace wd
{

namespace
{

constexpr const char *kClass = "/sys/class/uacce";

/** No queue has a larger region: the driver is wrong or hostile. */
constexpr uint64_t kMaxRegion = 1ull << 32;

/** Reads the attributes of one device and remembers the first problem. */
class AttributeReader
{
public:
	AttributeReader(Host &host, std::string directory)
		: host_(host),
		  directory_(std::move(directory))
	{
	}

	std::string text(const char *name)
	{
		std::string value;
		if (host_.sysfsRead(directory_ + "/" + name, value))
			note(name, "is missing");
		else if (value.empty())
			note(name, "is empty");
		return value;
	}

	template <std::integral Number>
	Number number(const char *name)
	{
		const std::string value = text(name);
		const auto result = parseNumber<Number>(value);
		if (!result)
			note(name, "is no number: '" + value + "'");
		return result.value_or(Number{});
	}

	template <std::integral Number>
	std::optional<Number> optionalNumber(const char *name)
	{
		std::string value;
		if (host_.sysfsRead(directory_ + "/" + name, value))
			return std::nullopt;
		const auto result = parseNumber<Number>(value);
		if (!result)
			note(name, "is no number: '" + value + "'");
		return result;
	}

	void note(const char *name, const std::string &what)
	{
		if (problem_.empty())
			problem_ = "attribute " + std::string(name) + " " + what;
	}

	const std::string &problem() const { return problem_; }

private:
	Host &host_;
	std::string directory_, problem_;
};

std::vector<std::string> lines(const std::string &text)
{
	std::vector<std::string> result;
	for (size_t begin = 0; begin < text.size();) {
		const size_t end = std::min(text.find('\n', begin), text.size());
		if (end > begin)
			result.push_back(text.substr(begin, end - begin));
		begin = end + 1;
	}
	return result;
}

/** The parent's name, if it looks like a PCI address (0000:01:00.0). */
std::string pciAddressOf(Host &host, const std::string &sysfsPath)
{
	std::string path;
	if (host.sysfsResolve(sysfsPath + "/device", path))
		return {};
	const std::string name = path.substr(path.rfind('/') + 1);
	const bool matches = name.size() >= 12 && name[name.size() - 2] == '.' &&
			     std::count(name.begin(), name.end(), ':') == 2;
	return matches ? name : std::string();
}

void checkRegions(AttributeReader &reader, const Accelerator &device)
{
	if (device.dusSize == 0 || device.dusSize > kMaxRegion)
		reader.note("region_dus_size", "makes no sense");
	if (device.mmioSize == 0 || device.mmioSize > kMaxRegion)
		reader.note("region_mmio_size", "makes no sense");
	if (device.doorbellWords &&
	    (*device.doorbellWords % 8 || *device.doorbellWords >= device.mmioSize ||
	     device.mmioSize - *device.doorbellWords < 4096))
		reader.note("doorbell_words", "lies outside the MMIO region");
}

/** "0x19e5" in an attribute of a PCI function. */
std::optional<uint16_t> readPciNumber(Host &host, const std::string &path)
{
	std::string text;
	if (host.sysfsRead(path, text) || !text.starts_with("0x"))
		return std::nullopt;
	uint16_t number = 0;
	const char *end = text.data() + text.size();
	const auto [stop, error] = std::from_chars(text.data() + 2, end, number, 16);
	if (error != std::errc{} || stop != end)
		return std::nullopt;
	return number;
}

/** "[sva] pinned iommufd": every word, and the one in brackets. */
void readModes(Host &host, Accelerator &device)
{
	std::string text, word;
	if (host.sysfsRead(device.sysfsPath + "/dma_mode", text))
		return;
	std::istringstream words(text);
	while (words >> word) {
		if (word.size() > 2 && word.front() == '[' && word.back() == ']') {
			word = word.substr(1, word.size() - 2);
			device.dmaMode = word;
		}
		device.dmaModes.push_back(word);
	}
}

} // namespace

bool Accelerator::supports(std::string_view algorithm) const
{
	return std::find(algorithms.begin(), algorithms.end(), algorithm) != algorithms.end();
}

std::optional<std::string> readAccelerator(Host &host, const std::string &name, Accelerator &out)
{
	Accelerator device;
	device.name = name;
	device.devicePath = "/dev/" + name;
	device.sysfsPath = std::string(kClass) + "/" + name;
	AttributeReader reader(host, device.sysfsPath);
	device.api = reader.text("api");
	device.algorithms = lines(reader.text("algorithms"));
	device.flags = reader.number<uint32_t>("flags");
	device.available = reader.number<unsigned>("available_instances");
	device.mmioSize = reader.number<uint64_t>("region_mmio_size");
	device.dusSize = reader.number<uint64_t>("region_dus_size");
	device.total = reader.optionalNumber<unsigned>("total_instances");
	device.doorbellWords = reader.optionalNumber<uint32_t>("doorbell_words");
	device.isolated = reader.optionalNumber<int>("isolate").value_or(0) != 0;
	device.node = std::max(reader.optionalNumber<int>("device/numa_node").value_or(-1), -1);
	device.pciAddress = pciAddressOf(host, device.sysfsPath);
	readModes(host, device);
	if (reader.problem().empty())
		checkRegions(reader, device);
	if (!reader.problem().empty())
		return reader.problem();
	out = std::move(device);
	return std::nullopt;
}

std::vector<SkippedDevice> readUnclaimed(Host &host)
{
	static constexpr const char *kBus = "/sys/bus/pci/devices";
	std::vector<SkippedDevice> found;
	std::vector<std::string> names, below;
	if (host.sysfsList(kBus, names))
		return found;
	for (const std::string &name : names) {
		const std::string path = std::string(kBus) + "/" + name;
		const auto vendor = readPciNumber(host, path + "/vendor");
		const auto device = readPciNumber(host, path + "/device");
		if (!vendor || !device || !capi::isAccelerator({*vendor, *device}) ||
		    !host.sysfsList(path + "/uacce", below))
			continue;
		std::string driver;
		if (host.sysfsResolve(path + "/driver", driver))
			found.push_back(
				{name, "no driver has taken it; the kernel's log says why"});
		else
			found.push_back({name, "driver " + driver.substr(driver.rfind('/') + 1) +
						       " has it"});
	}
	return found;
}

unsigned availableQueues(Host &host, const std::string &name)
{
	std::string text;
	const std::string path = std::string(kClass) + "/" + name + "/available_instances";
	if (int error = host.sysfsRead(path, text))
		throw Error(error == -ENOENT ? ENODEV : -error, name, "read its free queues");
	const auto number = parseNumber<unsigned>(text);
	if (!number)
		throw Error(EPROTO, name, "read its free queues: '" + text + "'");
	return *number;
}

} // namespace wd
