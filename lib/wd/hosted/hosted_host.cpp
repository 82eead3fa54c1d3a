// SPDX-License-Identifier: Apache-2.0
#include "wd/hosted_host.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>
#include <pthread.h>
#include <sys/mman.h>

#include "attributes.h"
#include "base/text.h"
#include "wd/error.h"

namespace wd
{

namespace
{

/** A process has one kernel. The thread that boots it or shuts it down holds this. */
std::mutex kernelMutex;

/* In the child nobody would unlock it, if another thread of the parent held it at fork(). */
[[gnu::constructor]] void watchForks()
{
	pthread_atfork(nullptr, nullptr, [] { new (&kernelMutex) std::mutex; });
}

/** The text of a system_error without the text of its errno, because Error adds that itself. */
std::string textOf(const std::system_error &error)
{
	std::string text = error.what();
	const std::string tail = ": " + error.code().message();
	if (text.size() > tail.size() && text.ends_with(tail))
		text.resize(text.size() - tail.size());
	return text;
}

int errnoOf(const std::system_error &error)
{
	return error.code().category() == std::generic_category() ||
			       error.code().category() == std::system_category()
		       ? error.code().value()
		       : EIO;
}

machine::MachineDescription describeMachine(const std::string &name)
try {
	if (name.find('/') != std::string::npos || name.ends_with(".json"))
		return machine::MachineDescription::fromFile(name);
	const auto names = machine::MachineDescription::presetNames();
	if (std::find(names.begin(), names.end(), name) == names.end())
		throw Error(ENOENT, "machine '" + name + "'", "find a preset of that name",
			    "presets: " + joined(machine::MachineDescription::presetNames()) +
				    "; a path must have a '/' in it");
	return machine::MachineDescription::preset(name);
} catch (const Error &) {
	throw;
} catch (const std::system_error &error) {
	throw Error(errnoOf(error), "machine '" + name + "'", textOf(error));
}

/*
 * Programs map the doorbells. In the hosted kernel no code sees stores to a mapping, so an
 * accelerator with trapped doorbells would never start its first request.
 */
void refuseTrappedDoorbells(const machine::MachineDescription &description)
{
	for (const machine::AcceleratorDescription &each : description.accelerators) {
		char address[16];

		if (each.doorbells != machine::DoorbellMode::Trapped)
			continue;
		std::snprintf(address, sizeof(address), "%04x:%02x:%02x.%x", each.address.domain,
			      each.address.bus, each.address.device & 0x1fu,
			      each.address.function & 7u);
		throw Error(EOPNOTSUPP, "machine '" + description.name + "'",
			    std::string("boot with \"trapped\" doorbells at ") + address,
			    "say \"shared\", or run it in a virtual machine (wdmachine serve), "
			    "where accesses are trapped");
	}
}

hostkernel::BootConfig bootConfig(const machine::Machine &machine,
				  const std::string &sysfsDirectory)
{
	hostkernel::BootConfig config;
	config.sysfsDirectory = sysfsDirectory;
	for (const machine::MachineFunction &f : machine.functions())
		config.pci.push_back({f.address.domain, f.address.bus, f.address.device,
				      f.address.function, f.numaNode, f.function});
	for (const machine::NumaNode &node : machine.description().nodes)
		config.nodes.push_back(
			{node.id, node.cpus, node.memoryBytes, node.memoryKind, node.distances});
	return config;
}

} // namespace

CallerHost::CallerHost(std::shared_ptr<hostkernel::Caller> caller) : caller_(std::move(caller)) {}
CallerHost::~CallerHost() = default;

const char *CallerHost::kind() const noexcept
{
	return "hosted";
}

int CallerHost::open(const std::string &path, int flags) noexcept
try {
	return caller_->open(path, flags);
} catch (const std::exception &) {
	return -ENOMEM;
}

int CallerHost::close(int fd) noexcept
{
	return caller_->close(fd);
}

long CallerHost::ioctl(int fd, unsigned long request, void *argument) noexcept
{
	return caller_->ioctl(fd, request, reinterpret_cast<uintptr_t>(argument));
}

ssize_t CallerHost::read(int fd, void *buffer, size_t count) noexcept
{
	return caller_->read(fd, buffer, count);
}

ssize_t CallerHost::write(int fd, const void *buffer, size_t count) noexcept
{
	return caller_->write(fd, buffer, count);
}

ssize_t CallerHost::pread(int fd, void *buffer, size_t count, uint64_t offset) noexcept
{
	return caller_->pread(fd, buffer, count, offset);
}

ssize_t CallerHost::pwrite(int fd, const void *buffer, size_t count, uint64_t offset) noexcept
{
	return caller_->pwrite(fd, buffer, count, offset);
}

int CallerHost::mmap(size_t length, int prot, int fd, uint64_t offset, void **out) noexcept
try {
	return caller_->mmap(length, prot, MAP_SHARED, fd, offset, out);
} catch (const std::exception &) {
	return -ENOMEM;
}

int CallerHost::munmap(void *address, size_t length) noexcept
{
	return caller_->munmap(address, length);
}

int CallerHost::importFile(int fd) noexcept
{
	return caller_->importFile(fd);
}

int CallerHost::poll(struct pollfd *fds, unsigned count, int timeoutMs) noexcept
{
	return caller_->poll(fds, count, timeoutMs);
}

int CallerHost::sysfsRead(const std::string &path, std::string &out) noexcept
try {
	if (!own())
		return -ESTALE;
	const int error = hostkernel::sysfsRead(path, out);
	if (!error && !out.empty() && out.back() == '\n')
		out.pop_back();
	return error;
} catch (const std::exception &) {
	return -ENOMEM;
}

int CallerHost::sysfsWrite(const std::string &path, const std::string &value) noexcept
try {
	if (!own())
		return -ESTALE;
	return hostkernel::sysfsWrite(path, value);
} catch (const std::exception &) {
	return -ENOMEM;
}

int CallerHost::sysfsList(const std::string &path, std::vector<std::string> &out) noexcept
try {
	if (!own())
		return -ESTALE;
	return hostkernel::sysfsList(path, out);
} catch (const std::exception &) {
	return -ENOMEM;
}

int CallerHost::sysfsResolve(const std::string &path, std::string &out) noexcept
try {
	if (!own())
		return -ESTALE;
	return hostkernel::sysfsResolve(path, out);
} catch (const std::exception &) {
	return -ENOMEM;
}

int CallerHost::currentNode() noexcept
{
	const char *text = ::secure_getenv("WD_NODE");
	const auto node = text ? parseNumber<int>(text) : std::nullopt;
	if (!text || !*text)
		return 0;
	return node && *node >= 0 ? *node : -EINVAL;
}

HostedHost::HostedHost(machine::MachineDescription description, const std::string &sysfsDirectory)
{
	std::lock_guard lock(kernelMutex);
	if (hostkernel::booted())
		throw Error(EBUSY, "hosted kernel", "boot a second one in this process",
			    "use the one there is, or close it first");
	refuseTrappedDoorbells(description);
	const std::string name = description.name;
	try {
		machine_ = std::make_unique<machine::Machine>(std::move(description),
							      hostkernel::physicalMemory());
		boot(sysfsDirectory);
	} catch (const std::system_error &error) {
		throw Error(errnoOf(error), "hosted kernel on machine '" + name + "'",
			    "boot: " + textOf(error));
	}
}

HostedHost::HostedHost(const std::string &machine, const std::string &sysfsDirectory)
	: HostedHost(describeMachine(machine), sysfsDirectory)
{
}

void HostedHost::boot(const std::string &sysfsDirectory)
{
	/* The engines must run before the drivers' probes wait for them. */
	machine_->start();
	hostkernel::boot(bootConfig(*machine_, sysfsDirectory));
	running_ = true;
	caller_ = hostkernel::Caller::self();
}

HostedHost::~HostedHost()
{
	if (!own()) {
		/*
		 * This is a child: the machine's threads run in the parent, and the parent ends
		 * them.
		 */
		[[maybe_unused]] static machine::Machine *inherited;
		inherited = machine_.release();
		return;
	}
	const bool clean = shutdown().clean();
	if (clean)
		return;
	try {
		std::fprintf(stderr, "warpdrive: the hosted kernel went down with leftovers: %s\n",
			     describe(report_).c_str());
	} catch (const std::bad_alloc &) {
		std::fprintf(stderr, "warpdrive: the hosted kernel went down with leftovers\n");
	}
	if (::secure_getenv("WD_DEBUG"))
		std::abort();
}

const hostkernel::LeakReport &HostedHost::shutdown()
{
	if (!own())
		return report_;
	std::lock_guard lock(kernelMutex);
	if (running_) {
		running_ = false;
		report_ = hostkernel::shutdown();
		machine_->stop();
	}
	return report_;
}

std::shared_ptr<CallerHost> HostedHost::createCaller(unsigned uid)
{
	return std::make_shared<CallerHost>(hostkernel::Caller::create(uid));
}

std::shared_ptr<CallerHost> HostedHost::createRemoteCaller(pid_t pid, unsigned uid)
try {
	return std::make_shared<CallerHost>(hostkernel::Caller::remote(pid, uid));
} catch (const std::system_error &error) {
	throw Error(errnoOf(error), "process " + std::to_string(pid),
		    "reach its memory: " + textOf(error));
}

std::string describe(const hostkernel::LeakReport &report)
{
	std::string text;
	const auto add = [&](uint64_t count, const char *what) {
		if (count)
			text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
	};
	add(report.openFiles, "open files");
	add(report.pinnedPages, "pinned pages");
	add(report.kernelAllocations, "kernel allocations");
	add(report.kernelBytes, "bytes of kernel memory");
	add(report.dmaAllocations, "DMA allocations");
	add(report.devices, "devices");
	return text;
}

} // namespace wd
