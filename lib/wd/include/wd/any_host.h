/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host: where this program's /dev/iommu, accelerators and sysfs are. Native = the running kernel;
 * hosted = a kernel and a machine inside this process. Programs use one interface for both. C
 * programs: wd/host.h.
 */
#pragma once

#if __cplusplus < 202002L
#error "the C++ headers of WarpDrive need C++20: compile with -std=c++20"
#endif

#include <cstddef>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "base/process_mark.h"

struct wd_host;

namespace wd
{

enum class HostKind { Auto, Native, Hosted };

/** "auto", "native" or "hosted". @throws Error (EINVAL) for anything else. */
HostKind hostKindFromName(std::string_view name);

/** Options of Host::create(). The defaults come from the environment. */
struct HostOptions {
	/** WD_HOST, else Auto. @throws Error from fromEnvironment() if WD_HOST is no known kind. */
	HostKind kind = HostKind::Auto;
	/** Hosted: a preset's name, or a path (one that has a '/' or ends in ".json"). */
	std::string machine = "two-socket";
	/** Hosted: if not empty, sysfs is also kept as a real tree below this existing folder. */
	std::string sysfsDirectory;

	/** The defaults, replaced by WD_HOST, WD_MACHINE and WD_SYSFS where these are set. */
	static HostOptions fromEnvironment();
};

/**
 * System calls and sysfs of one host. Thread-safe.
 *
 * A hosted host belongs to the process that made it: in a child of fork() every call on it fails
 * with -ESTALE and changes nothing, and Host::shared() brings up the child's own. A native host
 * works there, but objects that were made with it (queues, /dev/iommu, functions) are the parent's,
 * and fail the same way.
 *
 * The functions are thin: results >= 0, or -errno, and no exception. Descriptors are small integers
 * of the host's own table (a hosted descriptor is no descriptor of the real process).
 */
class Host
{
public:
	/**
	 * Bring a host up. Auto = native if /dev/iommu is there and an accelerator below
	 * /sys/class/uacce carries our driver's attributes; else hosted.
	 * @throws Error: ENODEV no native /dev/iommu of ours; ENOENT, EINVAL machine description;
	 *	EBUSY this process already has a hosted kernel; EOPNOTSUPP hosted, and the library's
	 *	part for that is not installed
	 */
	static std::shared_ptr<Host> create(const HostOptions &options);
	/** The host that this process has made already, else a new one from the environment. */
	static std::shared_ptr<Host> shared();

	Host() = default;
	virtual ~Host();
	Host(const Host &) = delete;
	Host &operator=(const Host &) = delete;

	/** "native" or "hosted". */
	virtual const char *kind() const noexcept = 0;

	virtual int open(const std::string &path, int flags) noexcept = 0;
	virtual int close(int fd) noexcept = 0;
	virtual long ioctl(int fd, unsigned long request, void *argument) noexcept = 0;
	virtual ssize_t read(int fd, void *buffer, size_t count) noexcept = 0;
	virtual ssize_t write(int fd, const void *buffer, size_t count) noexcept = 0;
	/** At @offset, without moving the file's position. */
	virtual ssize_t pread(int fd, void *buffer, size_t count, uint64_t offset) noexcept = 0;
	virtual ssize_t pwrite(int fd, const void *buffer, size_t count,
			       uint64_t offset) noexcept = 0;
	/** Shared mapping of a device file, @offset in bytes, page aligned. */
	virtual int mmap(size_t length, int prot, int fd, uint64_t offset, void **out) noexcept = 0;
	/** One earlier mmap() of this host, or pages of it. */
	virtual int munmap(void *address, size_t length) noexcept = 0;
	/**
	 * A descriptor of this host for the open file @fd of the process, as a memfd for
	 * IOMMU_IOAS_MAP_FILE. Close it with close(); @fd may be closed before.
	 * @return -EBADF, -EMFILE; -EOPNOTSUPP this kind of host cannot.
	 */
	virtual int importFile(int fd) noexcept;
	/** As poll(2). */
	virtual int poll(struct pollfd *fds, unsigned count, int timeoutMs) noexcept = 0;

	/* sysfs by absolute path ("/sys/class/uacce/hisi_zip-0/api"). 0 or -errno. */
	/** The attribute without its last newline. -EFBIG if it is longer than 64 KiB. */
	virtual int sysfsRead(const std::string &path, std::string &out) noexcept = 0;
	virtual int sysfsWrite(const std::string &path, const std::string &value) noexcept = 0;
	/** Names in a directory, sorted. */
	virtual int sysfsList(const std::string &path, std::vector<std::string> &out) noexcept = 0;
	/** Canonical path after following links. */
	virtual int sysfsResolve(const std::string &path, std::string &out) noexcept = 0;

	/**
	 * NUMA node of the caller: native, the node of the processor that runs the thread; hosted,
	 * the environment variable WD_NODE, else 0; -EINVAL if that is no number.
	 */
	virtual int currentNode() noexcept = 0;

	/**
	 * False for a hosted host in a child of the process that made it: every call fails there.
	 */
	virtual bool own() const noexcept;
};

/** The C API's handle for @host; wd_host_close() drops it. @throws std::bad_alloc */
struct ::wd_host *makeHandle(std::shared_ptr<Host> host);

/** A descriptor of a host, closed by its owner. The host must outlive it. Thread-bound. */
class HostFd
{
public:
	HostFd() = default;
	HostFd(Host &host, int fd) noexcept : host_(&host), fd_(fd) {}
	HostFd(HostFd &&other) noexcept
		: host_(std::exchange(other.host_, nullptr)),
		  fd_(std::exchange(other.fd_, -1))
	{
	}
	HostFd &operator=(HostFd &&other) noexcept;
	~HostFd() { reset(); }
	/** @throws Error that names @path. */
	static HostFd open(Host &host, const std::string &path, int flags);

	int get() const noexcept { return fd_; }
	Host &host() const noexcept { return *host_; }
	explicit operator bool() const noexcept { return fd_ >= 0; }
	void reset() noexcept;

private:
	Host *host_ = nullptr;
	int fd_ = -1;
};

/** A mapping of a host's device file. The host must outlive it. Thread-bound. */
class HostMapping
{
public:
	HostMapping() = default;
	/** @throws Error that names @object. */
	HostMapping(const HostFd &fd, size_t length, int prot, uint64_t offset,
		    const std::string &object);
	HostMapping(HostMapping &&other) noexcept { *this = std::move(other); }
	HostMapping &operator=(HostMapping &&other) noexcept;
	~HostMapping() { reset(); }

	std::byte *data() const noexcept { return static_cast<std::byte *>(address_); }
	size_t size() const noexcept { return length_; }
	explicit operator bool() const noexcept { return address_ != nullptr; }
	void reset() noexcept;

private:
	Host *host_ = nullptr;
	void *address_ = nullptr;
	size_t length_ = 0;
	ProcessMark mark_; /**< in a child of fork() the address belongs to other memory */
};

} // namespace wd
