// SPDX-License-Identifier: Apache-2.0
#include "wd/any_host.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <mutex>
#include <new>
#include <pthread.h>

#include "hosted_loader.h"
#include "wd/error.h"
#include "wd/native_host.h"

namespace wd
{

namespace
{

/** The host of this process, for callers that name none. */
std::mutex currentMutex;
std::weak_ptr<Host> current;

/* In the child nobody would unlock it, if another thread of the parent held it at fork(). */
[[gnu::constructor]] void watchForks()
{
	pthread_atfork(nullptr, nullptr, [] { new (&currentMutex) std::mutex; });
}

std::shared_ptr<Host> createNative()
{
	auto host = std::make_shared<NativeHost>();
	const int fd = host->open("/dev/iommu", O_RDWR);
	if (fd < 0)
		throw Error(fd == -ENOENT ? ENODEV : -fd, "/dev/iommu", "open",
			    "load the modules of this project, or use the hosted machine "
			    "(WD_HOST=hosted)");
	host->close(fd);
	if (!hasOurDriver(*host))
		throw Error(ENODEV, "/sys/class/uacce",
			    "find an accelerator or the driver wd_vfio for /dev/iommu",
			    "load the modules of this project, or use the hosted machine "
			    "(WD_HOST=hosted)");
	return host;
}

std::shared_ptr<Host> createOfKind(const HostOptions &options)
{
	if (options.kind == HostKind::Native)
		return createNative();
	if (options.kind == HostKind::Auto) {
		auto native = std::make_shared<NativeHost>();
		if (hasOurDriver(*native))
			return native;
	}
	return createHosted(options);
}

std::shared_ptr<Host> createLocked(const HostOptions &options)
{
	std::shared_ptr<Host> host = createOfKind(options);
	if (std::shared_ptr<Host> known = current.lock(); !known || !known->own())
		current = host;
	return host;
}

} // namespace

HostKind hostKindFromName(std::string_view name)
{
	if (name == "auto")
		return HostKind::Auto;
	if (name == "native")
		return HostKind::Native;
	if (name == "hosted")
		return HostKind::Hosted;
	throw Error(EINVAL, "host '" + std::string(name) + "'", "choose a host",
		    "say auto, native or hosted");
}

HostOptions HostOptions::fromEnvironment()
{
	HostOptions options;
	if (const char *kind = ::secure_getenv("WD_HOST"); kind && *kind)
		options.kind = hostKindFromName(kind);
	if (const char *machine = ::secure_getenv("WD_MACHINE"); machine && *machine)
		options.machine = machine;
	if (const char *directory = ::secure_getenv("WD_SYSFS"); directory && *directory)
		options.sysfsDirectory = directory;
	return options;
}

std::shared_ptr<Host> Host::create(const HostOptions &options)
{
	std::lock_guard lock(currentMutex);
	return createLocked(options);
}

std::shared_ptr<Host> Host::shared()
{
	std::lock_guard lock(currentMutex);
	if (std::shared_ptr<Host> host = current.lock(); host && host->own())
		return host;
	return createLocked(HostOptions::fromEnvironment());
}

Host::~Host() = default;

int Host::importFile(int) noexcept
{
	return -EOPNOTSUPP;
}

bool Host::own() const noexcept
{
	return true;
}

HostFd &HostFd::operator=(HostFd &&other) noexcept
{
	if (this != &other) {
		reset();
		host_ = std::exchange(other.host_, nullptr);
		fd_ = std::exchange(other.fd_, -1);
	}
	return *this;
}

HostFd HostFd::open(Host &host, const std::string &path, int flags)
{
	const int fd = host.open(path, flags);
	if (fd < 0)
		throw Error(-fd, path, "open");
	return HostFd(host, fd);
}

void HostFd::reset() noexcept
{
	if (fd_ >= 0)
		host_->close(fd_);
	host_ = nullptr;
	fd_ = -1;
}

HostMapping::HostMapping(const HostFd &fd, size_t length, int prot, uint64_t offset,
			 const std::string &object)
{
	if (int error = fd.host().mmap(length, prot, fd.get(), offset, &address_)) {
		address_ = nullptr;
		throw Error(-error, object, "map " + std::to_string(length) + " bytes");
	}
	host_ = &fd.host();
	length_ = length;
}

HostMapping &HostMapping::operator=(HostMapping &&other) noexcept
{
	if (this != &other) {
		reset();
		host_ = std::exchange(other.host_, nullptr);
		address_ = std::exchange(other.address_, nullptr);
		length_ = std::exchange(other.length_, 0);
		mark_ = other.mark_;
	}
	return *this;
}

void HostMapping::reset() noexcept
{
	if (address_ && mark_.own())
		host_->munmap(address_, length_);
	host_ = nullptr;
	address_ = nullptr;
	length_ = 0;
}

} // namespace wd
