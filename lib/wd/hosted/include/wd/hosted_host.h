/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hosted Host, for tests and tools that need its parts: it owns the machine, boots the hosted
 * kernel on it, and is process `self` of that kernel.
 */
#pragma once

#include <memory>
#include <string>

#include "hostkernel/kernel.h"
#include "machine/machine.h"
#include "wd/any_host.h"

namespace wd
{

/**
 * One caller (process) of the hosted kernel as a Host. Thread-safe. When the last reference to the
 * caller goes, the kernel closes its files as at the exit of a process.
 */
class CallerHost : public Host
{
public:
	explicit CallerHost(std::shared_ptr<hostkernel::Caller> caller);
	~CallerHost() override;

	const char *kind() const noexcept override;
	int open(const std::string &path, int flags) noexcept override;
	int close(int fd) noexcept override;
	long ioctl(int fd, unsigned long request, void *argument) noexcept override;
	ssize_t read(int fd, void *buffer, size_t count) noexcept override;
	ssize_t write(int fd, const void *buffer, size_t count) noexcept override;
	ssize_t pread(int fd, void *buffer, size_t count, uint64_t offset) noexcept override;
	ssize_t pwrite(int fd, const void *buffer, size_t count, uint64_t offset) noexcept override;
	int mmap(size_t length, int prot, int fd, uint64_t offset, void **out) noexcept override;
	int munmap(void *address, size_t length) noexcept override;
	int importFile(int fd) noexcept override;
	int poll(struct pollfd *fds, unsigned count, int timeoutMs) noexcept override;
	int sysfsRead(const std::string &path, std::string &out) noexcept override;
	int sysfsWrite(const std::string &path, const std::string &value) noexcept override;
	int sysfsList(const std::string &path, std::vector<std::string> &out) noexcept override;
	int sysfsResolve(const std::string &path, std::string &out) noexcept override;
	int currentNode() noexcept override;

	hostkernel::Caller &caller() noexcept { return *caller_; }
	bool own() const noexcept override { return mark_.own(); }

protected:
	CallerHost() = default;
	const ProcessMark mark_;
	std::shared_ptr<hostkernel::Caller> caller_;
};

/**
 * The process's hosted kernel and its machine. At most one at a time; the destructor shuts down.
 * If something leaked, the destructor says so on stderr, and aborts if WD_DEBUG is set.
 */
class HostedHost final : public CallerHost
{
public:
	/** @throws Error: EBUSY if this process has a hosted kernel already, or the boot's error */
	explicit HostedHost(machine::MachineDescription description,
			    const std::string &sysfsDirectory = {});
	/** @machine as HostOptions::machine. */
	explicit HostedHost(const std::string &machine, const std::string &sysfsDirectory = {});
	~HostedHost() override;

	machine::Machine &machine() noexcept { return *machine_; }

	/** A further caller with this process's memory, user id @uid and its own file table. */
	std::shared_ptr<CallerHost> createCaller(unsigned uid);
	/** A further caller with the memory of process @pid. @throws Error if that is gone. */
	std::shared_ptr<CallerHost> createRemoteCaller(pid_t pid, unsigned uid);

	/**
	 * Shut the kernel down now and report leaks. Further callers must be gone; descriptors and
	 * mappings of this host become invalid. A second call returns the same report.
	 */
	const hostkernel::LeakReport &shutdown();

private:
	void boot(const std::string &sysfsDirectory);

	std::unique_ptr<machine::Machine> machine_;
	hostkernel::LeakReport report_;
	bool running_ = false;
};

/** "3 open files, 12 pinned pages"; "" if the report is clean. */
std::string describe(const hostkernel::LeakReport &report);

} // namespace wd
