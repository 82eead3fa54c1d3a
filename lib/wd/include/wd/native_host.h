/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running kernel as a Host: real system calls, real /sys.
 */
#pragma once

#include "wd/any_host.h"

namespace wd
{

/** Thread-safe, without state. */
class NativeHost final : public Host
{
public:
	const char *kind() const noexcept override { return "native"; }
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
};

/**
 * True if @host has /dev/iommu, and an accelerator that takes address spaces of it or the driver
 * wd_vfio.
 */
bool hasOurDriver(Host &host) noexcept;

} // namespace wd
