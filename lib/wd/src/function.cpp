// SPDX-License-Identifier: Apache-2.0
#include "wd/function.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <vector>

#include <linux/vfio_cdev.h>

#include "fields.h"
#include "wd/error.h"

namespace wd
{

namespace
{

constexpr const char *kDriver = "wd_vfio";
constexpr const char *kDrivers = "/sys/bus/pci/drivers/";
constexpr const char *kOverride = "/driver_override";
constexpr const char *kFiles = "/dev/vfio/devices/";
constexpr unsigned kCommand = 4;
constexpr uint32_t kCommandMaster = 4;

std::string deviceOf(const std::string &address)
{
	return "/sys/bus/pci/devices/" + address;
}

void write(Host &host, const std::string &path, const std::string &value,
	   const std::string &address, const std::string &tried)
{
	if (const int error = host.sysfsWrite(path, value))
		throw Error(-error, address, tried,
			    error == -EACCES ? "be root, or own " + path : "");
}

/** Name of the driver of the function, "" if it has none. */
std::string driverOf(Host &host, const std::string &address)
{
	std::string path;
	if (host.sysfsResolve(deviceOf(address) + "/driver", path))
		return {};
	return path.substr(path.rfind('/') + 1);
}

/** What to write to restore the function's override: a line break if it has none. */
std::string overrideOf(Host &host, const std::string &address)
{
	std::string text;
	if (host.sysfsRead(deviceOf(address) + kOverride, text) || text.empty() || text == "(null)")
		return "\n";
	return text;
}

void unbind(Host &host, const std::string &address)
{
	if (const std::string driver = driverOf(host, address); !driver.empty())
		write(host, kDrivers + driver + "/unbind", address, address,
		      "take it from " + driver);
}

/*
 * Name of the device file. The folder may be there without a device file: Linux's VFIO can be built
 * without them.
 */
std::string fileNameOf(Host &host, const std::string &address)
{
	const std::string folder = deviceOf(address) + "/vfio-dev";
	std::vector<std::string> names;
	std::string number;
	if (host.sysfsList(folder, names))
		return {};
	for (const std::string &name : names)
		if ((name.starts_with("vfio") || name.starts_with("noiommu-vfio")) &&
		    !host.sysfsRead(folder + "/" + name + "/dev", number))
			return name;
	return {};
}

std::string fileOf(Host &host, const std::string &function)
{
	if (function.find(':') == std::string::npos)
		return kFiles + function;
	const std::string name = fileNameOf(host, function);
	if (name.empty())
		throw Error(ENOENT, function, "find its device file",
			    "give the function to wd_vfio first");
	return kFiles + name;
}

/* @throws Error: ENOENT */
void requireFunction(Host &host, const std::string &address)
{
	std::vector<std::string> ignored;
	if (address.find(':') == std::string::npos || address.find('/') != std::string::npos ||
	    host.sysfsList(deviceOf(address), ignored))
		throw Error(ENOENT, address, "find the PCI function");
}

bool isTranslated(Host &host, const std::string &address)
{
	std::string path;
	return !host.sysfsResolve(deviceOf(address) + "/iommu_group", path);
}

/** Does wd_vfio take functions that no IOMMU translates for? */
bool takesUntranslated(Host &host)
{
	std::string mode;
	return !host.sysfsRead("/sys/module/wd_vfio/parameters/enable_unsafe_noiommu_mode", mode) &&
	       mode.starts_with('Y');
}

uint16_t numberOf(Host &host, const std::string &address, const char *file)
{
	std::string text;
	if (host.sysfsRead(deviceOf(address) + "/" + file, text))
		return 0;
	uint16_t number = 0;
	parseNumber(std::string_view(text).substr(0, text.find('\n')), number);
	return number;
}

/** Names of the function's accelerators. */
std::vector<std::string> acceleratorsOf(Host &host, const std::string &address)
{
	std::vector<std::string> names;
	(void)host.sysfsList(deviceOf(address) + "/uacce", names);
	std::sort(names.begin(), names.end());
	return names;
}

} // namespace

std::vector<PciFunctionInfo> listFunctions(Host &host)
{
	std::vector<std::string> addresses;
	std::vector<PciFunctionInfo> found;
	if (const int error = host.sysfsList("/sys/bus/pci/devices", addresses))
		throw Error(-error, "/sys/bus/pci/devices", "list PCI functions");
	std::sort(addresses.begin(), addresses.end());
	const bool all = takesUntranslated(host);
	for (const std::string &address : addresses) {
		const bool translated = isTranslated(host, address);
		if (!translated && !all)
			continue;
		const std::string name = fileNameOf(host, address);
		found.push_back({address, numberOf(host, address, "vendor"),
				 numberOf(host, address, "device"), driverOf(host, address),
				 name.empty() ? "" : kFiles + name, acceleratorsOf(host, address),
				 translated});
	}
	return found;
}

std::string takeFunction(Host &host, const std::string &address)
{
	std::vector<std::string> ignored;
	requireFunction(host, address);
	if (host.sysfsList(std::string(kDrivers) + kDriver, ignored))
		throw Error(ENODEV, address, "give it to wd_vfio", "load the module wd_vfio");
	std::string before = driverOf(host, address);
	if (before == kDriver)
		return before;
	if (!isTranslated(host, address) && !takesUntranslated(host))
		throw Error(
			ENODEV, address, "give it to wd_vfio",
			"choose a function that an IOMMU translates for, or let its owner reach "
			"all memory: enable_unsafe_noiommu_mode of wd_vfio");
	const std::string override = overrideOf(host, address);
	write(host, deviceOf(address) + kOverride, kDriver, address, "name its next driver");
	try {
		unbind(host, address);
		write(host, std::string(kDrivers) + kDriver + "/bind", address, address,
		      "give it to wd_vfio");
	} catch (const Error &) {
		(void)host.sysfsWrite(deviceOf(address) + kOverride, override);
		if (!before.empty() && driverOf(host, address).empty())
			(void)host.sysfsWrite(kDrivers + before + "/bind", address);
		throw;
	}
	return before;
}

void giveFunctionBack(Host &host, const std::string &address, const std::string &driver)
{
	unbind(host, address);
	write(host, deviceOf(address) + kOverride, "\n", address, "end the override");
	if (!driver.empty())
		write(host, kDrivers + driver + "/bind", address, address, "give it to " + driver);
}

std::string releaseFunction(Host &host, const std::string &address)
{
	requireFunction(host, address);
	if (driverOf(host, address) != kDriver)
		throw Error(EINVAL, address, "take it from wd_vfio",
			    "name a function whose driver is wd_vfio");
	giveFunctionBack(host, address, "");
	write(host, "/sys/bus/pci/drivers_probe", address, address, "find it a driver");
	return driverOf(host, address);
}

Function::Function(Host &host, const std::string &function)
	: name_(function),
	  fd_(HostFd::open(host, fileOf(host, function), O_RDWR))
{
}

long Function::control(unsigned long request, void *argument) const noexcept
{
	return mark_.own() ? fd_.host().ioctl(fd_.get(), request, argument) : -ESTALE;
}

void Function::fail(long error, std::string tried, std::string remedy) const
{
	throw Error(static_cast<int>(-error), name_, std::move(tried), std::move(remedy));
}

uint32_t Function::bind(const Iommufd &iommufd)
{
	struct vfio_device_bind_iommufd cmd = {};
	cmd.argsz = sizeof(cmd);
	cmd.iommufd = iommufd.fd();
	if (const long error = control(VFIO_DEVICE_BIND_IOMMUFD, &cmd))
		fail(error, "bind to /dev/iommu",
		     error == -EPERM ? "set iommufd's parameter allow_unsafe_interrupts" : "");
	deviceId_ = cmd.out_devid;
	return deviceId_;
}

uint32_t Function::attach(const IommufdObject &table, std::optional<uint32_t> pasid)
{
	struct vfio_device_attach_iommufd_pt cmd = {};
	cmd.argsz = sizeof(cmd);
	cmd.flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0;
	cmd.pt_id = table.id();
	cmd.pasid = pasid.value_or(0);
	if (const long error = control(VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd))
		fail(error, "attach table " + std::to_string(table.id()) +
				    (pasid ? " at PASID " + std::to_string(*pasid) : ""));
	return cmd.pt_id;
}

void Function::detach(std::optional<uint32_t> pasid)
{
	struct vfio_device_detach_iommufd_pt cmd = {};
	cmd.argsz = sizeof(cmd);
	cmd.flags = pasid ? VFIO_DEVICE_DETACH_PASID : 0;
	cmd.pasid = pasid.value_or(0);
	if (const long error = control(VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd))
		fail(error, "detach");
}

FunctionRegion Function::region(unsigned index) const
{
	struct vfio_region_info info = {};
	info.argsz = sizeof(info);
	info.index = index;
	if (const long error = control(VFIO_DEVICE_GET_REGION_INFO, &info))
		fail(error, "ask for region " + std::to_string(index));
	return {info.size, (info.flags & VFIO_REGION_INFO_FLAG_MMAP) != 0, info.offset};
}

HostMapping Function::map(unsigned index, uint64_t offset, size_t length, int prot) const
{
	return HostMapping(fd_, length, prot, region(index).fileOffset + offset,
			   name_ + " region " + std::to_string(index));
}

void Function::read(unsigned index, uint64_t offset, void *data, size_t length) const
{
	const ssize_t done =
		fd_.host().pread(fd_.get(), data, length, region(index).fileOffset + offset);
	if (done != static_cast<ssize_t>(length))
		fail(done < 0 ? done : -EINVAL, "read region " + std::to_string(index));
}

void Function::write(unsigned index, uint64_t offset, const void *data, size_t length) const
{
	const ssize_t done =
		fd_.host().pwrite(fd_.get(), data, length, region(index).fileOffset + offset);
	if (done != static_cast<ssize_t>(length))
		fail(done < 0 ? done : -EINVAL, "write region " + std::to_string(index));
}

uint32_t Function::configRead(unsigned offset, unsigned size) const
{
	uint32_t value = 0;
	read(VFIO_PCI_CONFIG_REGION_INDEX, offset, &value, size < sizeof(value) ? size : 4);
	return value;
}

void Function::configWrite(unsigned offset, uint32_t value, unsigned size) const
{
	write(VFIO_PCI_CONFIG_REGION_INDEX, offset, &value, size < sizeof(value) ? size : 4);
}

void Function::setBusMaster(bool on) const
{
	const uint32_t command = configRead(kCommand, 2);
	configWrite(kCommand, on ? command | kCommandMaster : command & ~kCommandMaster, 2);
}

unsigned Function::interrupts(FunctionInterrupt kind) const
{
	struct vfio_irq_info info = {};
	info.argsz = sizeof(info);
	info.index = static_cast<uint32_t>(kind);
	if (const long error = control(VFIO_DEVICE_GET_IRQ_INFO, &info))
		fail(error, "ask for its interrupts");
	return info.count;
}

void Function::signal(FunctionInterrupt kind, std::span<const int> eventfds, unsigned start) const
{
	const size_t header = sizeof(struct vfio_irq_set) / 4;
	std::vector<uint32_t> words(header + eventfds.size());
	words[0] = static_cast<uint32_t>(4 * words.size());
	words[1] = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	words[2] = static_cast<uint32_t>(kind);
	words[3] = start;
	words[4] = static_cast<uint32_t>(eventfds.size());
	for (size_t i = 0; i < eventfds.size(); i++)
		words[header + i] = static_cast<uint32_t>(eventfds[i]);
	const long error = control(VFIO_DEVICE_SET_IRQS, words.data());
	if (error > 0)
		fail(-ENOSPC, "enable " + std::to_string(start + eventfds.size()) + " interrupts",
		     "ask for " + std::to_string(error));
	if (error)
		fail(error, "connect interrupts");
}

void Function::disable(FunctionInterrupt kind) const
{
	uint32_t words[5] = {sizeof(words), VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			     static_cast<uint32_t>(kind), 0, 0};
	/* EINVAL: no interrupt is enabled, so there is nothing to disconnect. */
	if (const long error = control(VFIO_DEVICE_SET_IRQS, words); error && error != -EINVAL)
		fail(error, "disconnect interrupts");
}

void Function::reset() const
{
	if (const long error = control(VFIO_DEVICE_RESET, nullptr))
		fail(error, "reset");
}

} // namespace wd
