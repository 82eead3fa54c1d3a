// SPDX-License-Identifier: Apache-2.0
#include "bind.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int write_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	const ssize_t length = (ssize_t)strlen(text);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, length) != length)
		ret = errno ? -errno : -EIO;
	close(fd);
	return ret;
}

/* Get the name of the function's driver, empty if it has none. */
static void driver_of(const char *address, char *name, size_t size)
{
	char path[128], target[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/driver", address);
	length = readlink(path, target, sizeof(target) - 1);
	name[0] = 0;
	if (length < 0)
		return;
	target[length] = 0;
	snprintf(name, size, "%s", strrchr(target, '/') + 1);
}

int function_bind(const char *address, const char *driver)
{
	char now[64], path[160];
	int ret;

	driver_of(address, now, sizeof(now));
	if (!strcmp(now, driver))
		return 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/driver_override", address);
	ret = write_text(path, driver);
	if (ret)
		return ret == -ENOENT ? -ENODEV : ret;
	if (now[0]) {
		snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%.63s/unbind", now);
		ret = write_text(path, address);
		if (ret)
			return ret;
	}
	ret = write_text("/sys/bus/pci/drivers_probe", address);
	if (ret)
		return ret;
	driver_of(address, now, sizeof(now));
	return strcmp(now, driver) ? -ENODEV : 0;
}
