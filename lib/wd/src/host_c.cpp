// SPDX-License-Identifier: Apache-2.0
#include "wd/host.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "host_handle.h"
#include "last_error.h"

using wd::capi::guarded;
using wd::capi::refuse;

namespace
{

/** @text with its terminating zero, if it fits. */
int copyOut(const std::string &text, char *buffer, size_t size)
{
	if (text.size() >= size)
		return -ERANGE;
	std::memcpy(buffer, text.c_str(), text.size() + 1);
	return 0;
}

} // namespace

struct wd_host *wd::makeHandle(std::shared_ptr<Host> host)
{
	return new wd_host{std::move(host)};
}

int wd_host_open(const char *kind, const char *machine, struct wd_host **out)
{
	if (!out)
		return refuse(EINVAL, "wd_host_open: no place for the result");
	return guarded([&] {
		wd::HostOptions options = wd::HostOptions::fromEnvironment();
		if (kind)
			options.kind = wd::hostKindFromName(kind);
		if (machine)
			options.machine = machine;
		*out = new wd_host{wd::Host::create(options)};
		return 0;
	});
}

const char *wd_host_error(void)
{
	return wd::capi::lastError();
}

void wd_host_close(struct wd_host *host)
{
	delete host;
}

const char *wd_host_kind(const struct wd_host *host)
{
	return host->host->kind();
}

int wd_host_dev_open(struct wd_host *host, const char *path, int flags)
{
	return guarded([&] { return host->host->open(path, flags); });
}

int wd_host_dev_close(struct wd_host *host, int fd)
{
	return host->host->close(fd);
}

long wd_host_ioctl(struct wd_host *host, int fd, unsigned long request, void *argument)
{
	return host->host->ioctl(fd, request, argument);
}

ssize_t wd_host_read(struct wd_host *host, int fd, void *buffer, size_t count)
{
	return host->host->read(fd, buffer, count);
}

ssize_t wd_host_write(struct wd_host *host, int fd, const void *buffer, size_t count)
{
	return host->host->write(fd, buffer, count);
}

ssize_t wd_host_pread(struct wd_host *host, int fd, void *buffer, size_t count, uint64_t offset)
{
	return host->host->pread(fd, buffer, count, offset);
}

ssize_t wd_host_pwrite(struct wd_host *host, int fd, const void *buffer, size_t count,
		       uint64_t offset)
{
	return host->host->pwrite(fd, buffer, count, offset);
}

int wd_host_mmap(struct wd_host *host, size_t length, int prot, int fd, uint64_t offset, void **out)
{
	return host->host->mmap(length, prot, fd, offset, out);
}

int wd_host_munmap(struct wd_host *host, void *address, size_t length)
{
	return host->host->munmap(address, length);
}

int wd_host_import_file(struct wd_host *host, int fd)
{
	return host->host->importFile(fd);
}

int wd_host_poll(struct wd_host *host, struct pollfd *fds, unsigned int count, int timeout_ms)
{
	return host->host->poll(fds, count, timeout_ms);
}

int wd_host_sysfs_read(struct wd_host *host, const char *path, char *buffer, size_t size)
{
	return guarded([&] {
		std::string text;
		const int error = host->host->sysfsRead(path, text);
		return error ? error : copyOut(text, buffer, size);
	});
}

int wd_host_sysfs_write(struct wd_host *host, const char *path, const char *value)
{
	return guarded([&] { return host->host->sysfsWrite(path, value); });
}

int wd_host_sysfs_list(struct wd_host *host, const char *path, char *buffer, size_t size)
{
	return guarded([&] {
		std::vector<std::string> names;
		if (int error = host->host->sysfsList(path, names))
			return error;
		std::sort(names.begin(), names.end());
		std::string text;
		for (const std::string &name : names)
			text += (text.empty() ? "" : "\n") + name;
		return copyOut(text, buffer, size);
	});
}
