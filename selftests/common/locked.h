/* SPDX-License-Identifier: Apache-2.0 */
/* What a real kernel counts as pinned or locked memory, and the capability to have no limit. */
#ifndef SELFTESTS_COMMON_LOCKED_H
#define SELFTESTS_COMMON_LOCKED_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

/** A row of /proc/PID/status, such as "VmPin:", in pages. -1: there is none. */
static inline long pages_in_file(const char *path, const char *row)
{
	FILE *status = fopen(path, "r");
	char line[256];
	long kib = -1;

	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, row, strlen(row)))
			kib = atol(line + strlen(row));
	if (status)
		fclose(status);
	return kib < 0 ? -1 : kib / 4;
}

static inline long pages_in(const char *row)
{
	return pages_in_file("/proc/self/status", row);
}

/** How many pages all processes and drivers have pinned: taken minus given back. */
static inline long pages_pinned_by_all(void)
{
	/* Each processor counts for itself; a write to this file adds the counts up. */
	const int refresh = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
	FILE *statistics;
	long pages = 0, value;
	char name[64];

	if (refresh >= 0) {
		if (write(refresh, "1", 1) != 1)
			perror("stat_refresh");
		close(refresh);
	}
	statistics = fopen("/proc/vmstat", "r");
	while (statistics && fscanf(statistics, "%63s %ld", name, &value) == 2)
		if (!strcmp(name, "nr_foll_pin_acquired"))
			pages += value;
		else if (!strcmp(name, "nr_foll_pin_released"))
			pages -= value;
	if (statistics)
		fclose(statistics);
	return pages;
}

/** Take a capability, which the process may have, or do without it. 0 or -errno. */
static inline int set_capability(int capability, bool on)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	if (on)
		data[0].effective |= 1u << capability;
	else
		data[0].effective &= ~(1u << capability);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

#endif /* SELFTESTS_COMMON_LOCKED_H */
