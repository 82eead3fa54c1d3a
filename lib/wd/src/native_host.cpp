// SPDX-License-Identifier: Apache-2.0
#include "wd/native_host.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <misc/uacce/uacce.h>

#include "attributes.h"
#include "base/standard_fds.h"
#include "base/unique_fd.h"

namespace wd
{

namespace
{

/** Longest attribute that sysfsRead() gives. */
constexpr size_t kMaxAttribute = 64 << 10;

template <typename Result>
Result orErrno(Result result)
{
	return result < 0 ? static_cast<Result>(-errno) : result;
}

int readAll(int fd, std::string &out)
{
	char buffer[4096];
	for (;;) {
		const ssize_t n = ::read(fd, buffer, sizeof(buffer));
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		if (out.size() + static_cast<size_t>(n) > kMaxAttribute)
			return -EFBIG;
		out.append(buffer, static_cast<size_t>(n));
	}
}

} // namespace

int NativeHost::open(const std::string &path, int flags) noexcept
{
	return orErrno(awayFromStandard(::open(path.c_str(), flags | O_CLOEXEC)));
}

int NativeHost::close(int fd) noexcept
{
	return orErrno(::close(fd));
}

long NativeHost::ioctl(int fd, unsigned long request, void *argument) noexcept
{
	return orErrno(static_cast<long>(::ioctl(fd, request, argument)));
}

ssize_t NativeHost::read(int fd, void *buffer, size_t count) noexcept
{
	return orErrno(::read(fd, buffer, count));
}

ssize_t NativeHost::write(int fd, const void *buffer, size_t count) noexcept
{
	return orErrno(::write(fd, buffer, count));
}

ssize_t NativeHost::pread(int fd, void *buffer, size_t count, uint64_t offset) noexcept
{
	return orErrno(::pread(fd, buffer, count, static_cast<off_t>(offset)));
}

ssize_t NativeHost::pwrite(int fd, const void *buffer, size_t count, uint64_t offset) noexcept
{
	return orErrno(::pwrite(fd, buffer, count, static_cast<off_t>(offset)));
}

int NativeHost::mmap(size_t length, int prot, int fd, uint64_t offset, void **out) noexcept
{
	void *address = ::mmap(nullptr, length, prot, MAP_SHARED, fd, static_cast<off_t>(offset));
	if (address == MAP_FAILED)
		return -errno;
	*out = address;
	return 0;
}

int NativeHost::munmap(void *address, size_t length) noexcept
{
	return orErrno(::munmap(address, length));
}

int NativeHost::importFile(int fd) noexcept
{
	return orErrno(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

int NativeHost::poll(struct pollfd *fds, unsigned count, int timeoutMs) noexcept
{
	return orErrno(::poll(fds, count, timeoutMs));
}

int NativeHost::sysfsRead(const std::string &path, std::string &out) noexcept
try {
	UniqueFd fd(awayFromStandard(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
	if (!fd)
		return -errno;
	std::string text;
	if (int error = readAll(fd.get(), text))
		return error;
	if (!text.empty() && text.back() == '\n')
		text.pop_back();
	out = std::move(text);
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

int NativeHost::sysfsWrite(const std::string &path, const std::string &value) noexcept
{
	UniqueFd fd(awayFromStandard(::open(path.c_str(), O_WRONLY | O_CLOEXEC)));
	if (!fd)
		return -errno;
	/* A driver takes a whole value in one write: a short write is the driver's mistake. */
	const ssize_t n = ::write(fd.get(), value.data(), value.size());
	if (n < 0)
		return -errno;
	return static_cast<size_t>(n) == value.size() ? 0 : -EIO;
}

int NativeHost::sysfsList(const std::string &path, std::vector<std::string> &out) noexcept
try {
	UniqueFd fd(awayFromStandard(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
	if (!fd)
		return -errno;
	std::unique_ptr<DIR, int (*)(DIR *)> directory(::fdopendir(fd.get()), ::closedir);
	if (!directory)
		return -errno;
	fd.release(); /* now the directory owns it */
	std::vector<std::string> names;
	while (const dirent *entry = ::readdir(directory.get())) {
		std::string name = entry->d_name;
		if (name != "." && name != "..")
			names.push_back(std::move(name));
	}
	std::sort(names.begin(), names.end());
	out = std::move(names);
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

int NativeHost::sysfsResolve(const std::string &path, std::string &out) noexcept
try {
	std::unique_ptr<char, void (*)(void *)> real(::realpath(path.c_str(), nullptr), ::free);
	if (!real)
		return -errno;
	out = real.get();
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

int NativeHost::currentNode() noexcept
{
	unsigned cpu = 0, node = 0;
	return ::syscall(SYS_getcpu, &cpu, &node, nullptr) ? 0 : static_cast<int>(node);
}

namespace
{

bool hasAccelerator(Host &host)
{
	std::vector<std::string> names;
	if (host.sysfsList("/sys/class/uacce", names))
		return false;
	return std::any_of(names.begin(), names.end(), [&](const std::string &name) {
		std::string text;
		if (host.sysfsRead("/sys/class/uacce/" + name + "/flags", text))
			return false;
		const auto flags = parseNumber<uint32_t>(text);
		return flags && (*flags & UACCE_DEV_IOMMUFD);
	});
}

/* Programs may own every accelerator. The module wd_vfio needs our iommufd. */
bool hasFunctionDriver(Host &host)
{
	std::vector<std::string> names;
	return !host.sysfsList("/sys/bus/pci/drivers/wd_vfio", names);
}

} // namespace

bool hasOurDriver(Host &host) noexcept
try {
	const int fd = host.open("/dev/iommu", O_RDWR);
	if (fd < 0)
		return false;
	host.close(fd);
	return hasAccelerator(host) || hasFunctionDriver(host);
} catch (const std::bad_alloc &) {
	return false;
}

} // namespace wd
