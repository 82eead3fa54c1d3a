// SPDX-License-Identifier: Apache-2.0
#include "administrator.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "user.h"

namespace wd::soak
{

namespace
{

constexpr const char *kDriver = "hisi_zip", *kWhole = "wd_vfio", *kUnitDriver = "wd_iommu";
constexpr auto kPause = std::chrono::milliseconds(10);

std::string driverFolder(const std::string &driver)
{
	return "/sys/bus/pci/drivers/" + driver;
}

std::string deviceFolder(const std::string &function)
{
	return "/sys/bus/pci/devices/" + function;
}

/* PCI functions of a driver. */
std::vector<std::string> functionsOf(Host &host, const std::string &driver)
{
	std::vector<std::string> all;

	host.sysfsList(driverFolder(driver), all);
	std::erase_if(all,
		      [](const std::string &name) { return name.find(':') == std::string::npos; });
	return all;
}

/* Number of pages that are pinned in a real kernel: taken minus given back. */
std::string pinnedPages()
{
	std::ifstream statistics("/proc/vmstat");
	int64_t pages = 0, value = 0;

	for (std::string name; statistics >> name >> value;)
		if (name == "nr_foll_pin_acquired")
			pages += value;
		else if (name == "nr_foll_pin_released")
			pages -= value;
	return std::to_string(pages);
}

} // namespace

Administrator::Administrator(std::shared_ptr<Host> host, std::string sleepCommand)
	: host_(std::move(host)),
	  sleepCommand_(std::move(sleepCommand)),
	  functions_(functionsOf(*host_, kDriver))
{
	const auto units = functionsOf(*host_, kUnitDriver);

	if (functions_.empty() || units.size() != 1)
		throw std::runtime_error("this host has no accelerator behind one IOMMU of ours");
	unit_ = units[0];
	write("/sys/module/iommufd/parameters/allow_unsafe_interrupts", "1");
	/* Give the first users of pinned memory a device. Later the mode changes at random. */
	if (!setMode(functions_.back(), "pinned"))
		throw std::runtime_error(functions_.back() + " has no mode 'pinned'");
}

std::string Administrator::number(const std::string &path) const
{
	std::string text;

	return host_->sysfsRead(path, text) ? "not there" : text;
}

bool Administrator::write(const std::string &path, const std::string &value) const
{
	return host_->sysfsWrite(path, value) >= 0;
}

std::string Administrator::uacce(const std::string &function) const
{
	std::vector<std::string> found;

	return host_->sysfsList(deviceFolder(function) + "/uacce", found) || found.empty()
		       ? ""
		       : found[0];
}

bool Administrator::give(const std::string &function, const std::string &driver) const
{
	for (const char *before : {kDriver, kWhole})
		write(driverFolder(before) + "/unbind", function); /* only one of them has it */
	return write(deviceFolder(function) + "/driver_override",
		     driver == kDriver ? "\n" : driver) &&
	       write(driverFolder(driver) + "/bind", function);
}

bool Administrator::setMode(const std::string &function, const std::string &mode) const
{
	const std::string name = uacce(function);

	return !name.empty() && write("/sys/class/uacce/" + name + "/dma_mode", mode);
}

bool Administrator::changeMode(const std::string &function, std::mt19937_64 &random) const
{
	static constexpr std::array<const char *, 3> kModes = {"sva", "iommufd", "pinned"};

	return setMode(function, kModes[random() % kModes.size()]);
}

bool Administrator::sleep() const
{
	if (std::string(host_->kind()) == "hosted")
		return write("/sys/power/state", "mem");
	/* NOLINTNEXTLINE(cert-env33-c): the command is the caller's own */
	return !sleepCommand_.empty() && !std::system(sleepCommand_.c_str());
}

bool Administrator::renewUnit() const
{
	return write(driverFolder(kUnitDriver) + "/unbind", unit_) &&
	       write(driverFolder(kUnitDriver) + "/bind", unit_);
}

bool Administrator::happen(Event event, std::mt19937_64 &random)
{
	const std::string &function = functions_[random() % functions_.size()];

	switch (event) {
	case Event::Reset:
		return write(deviceFolder(function) + "/reset", "1");
	case Event::Driver:
		return give(function, random() % 2 ? kWhole : kDriver);
	case Event::Mode:
		return changeMode(function, random);
	case Event::Sleep:
		return sleep();
	case Event::Unit:
		return renewUnit();
	}
	return false;
}

std::string Administrator::restore()
{
	/* After the IOMMU is back, the kernel gives functions to their drivers, a little later. */
	const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kPatienceSeconds);

	for (const std::string &function : functions_)
		while (!give(function, kDriver) && uacce(function).empty()) {
			if (std::chrono::steady_clock::now() > end)
				return function + " cannot be bound to " + kDriver;
			std::this_thread::sleep_for(kPause);
		}
	return "";
}

Books Administrator::books() const
{
	std::vector<std::string> units;
	Books books;

	for (const std::string &function : functions_) {
		const std::string folder = "/sys/class/uacce/" + uacce(function);

		books[function + " free queues"] = number(folder + "/available_instances");
	}
	host_->sysfsList("/sys/class/iommu", units);
	for (const std::string &unit : units) {
		const std::string folder = "/sys/class/iommu/" + unit;
		const std::string attachments = number(folder + "/attachments");

		books["domain ids"] = number(folder + "/domain_ids");
		books["state of the IOMMU"] = number(folder + "/state");
		books["leaked pages"] = number(folder + "/leaked_pages");
		books["attachments"] =
			std::to_string(std::count(attachments.begin(), attachments.end(), '\n'));
	}
	if (std::string(host_->kind()) != "hosted")
		books["pinned pages"] = pinnedPages();
	return books;
}

} // namespace wd::soak
