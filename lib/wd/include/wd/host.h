/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a program's /dev/iommu and accelerators are: in the running kernel (native), or in a
 * kernel and machine inside this process (hosted). C API; C++ programs use wd/any_host.h.
 *
 * Every function is thread-safe. Results are >= 0, or -errno.
 */
#ifndef WD_HOST_H
#define WD_HOST_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct wd_host;

/**
 * wd_host_open() - choose a host and bring it up
 * @kind: "native", "hosted" or "auto" (native if /dev/iommu is there and belongs to our driver,
 *	else hosted). NULL: the environment variable WD_HOST, else "auto"
 * @machine: hosted only: preset name or path of a machine description; NULL: WD_MACHINE, else
 *	"two-socket"
 * @out: the host
 *
 * Return: 0, -EINVAL for an unknown kind or bad description, -ENOENT for a missing one, -ENODEV if
 * the native host has no /dev/iommu of ours, -EBUSY if this process already has a hosted kernel.
 */
int wd_host_open(const char *kind, const char *machine, struct wd_host **out);
/** One line with the reason of this thread's last failed wd_host_open(). */
const char *wd_host_error(void);
void wd_host_close(struct wd_host *host);
/** "native" or "hosted". */
const char *wd_host_kind(const struct wd_host *host);

int wd_host_dev_open(struct wd_host *host, const char *path, int flags);
int wd_host_dev_close(struct wd_host *host, int fd);
long wd_host_ioctl(struct wd_host *host, int fd, unsigned long request, void *argument);
ssize_t wd_host_read(struct wd_host *host, int fd, void *buffer, size_t count);
ssize_t wd_host_write(struct wd_host *host, int fd, const void *buffer, size_t count);
ssize_t wd_host_pread(struct wd_host *host, int fd, void *buffer, size_t count, uint64_t offset);
ssize_t wd_host_pwrite(struct wd_host *host, int fd, const void *buffer, size_t count,
		       uint64_t offset);
int wd_host_mmap(struct wd_host *host, size_t length, int prot, int fd, uint64_t offset,
		 void **out);
int wd_host_munmap(struct wd_host *host, void *address, size_t length);
/**
 * wd_host_import_file() - make an open file of the process known to the host
 * @host: the host
 * @fd: a descriptor of the process, as a memfd for IOMMU_IOAS_MAP_FILE. May be closed afterwards
 *
 * Descriptors of the hosted kernel have numbers of their own, so requests take only those.
 *
 * Return: a descriptor of the host, for wd_host_dev_close(), or -errno
 */
int wd_host_import_file(struct wd_host *host, int fd);
int wd_host_poll(struct wd_host *host, struct pollfd *fds, unsigned int count, int timeout_ms);

/** Read a sysfs attribute (absolute path) as a string without its last newline. */
int wd_host_sysfs_read(struct wd_host *host, const char *path, char *buffer, size_t size);
/** Write a sysfs attribute (absolute path). */
int wd_host_sysfs_write(struct wd_host *host, const char *path, const char *value);
/** Names in a sysfs directory, newline separated, sorted. -ERANGE if @size is too small. */
int wd_host_sysfs_list(struct wd_host *host, const char *path, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* WD_HOST_H */
