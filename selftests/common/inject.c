// SPDX-License-Identifier: Apache-2.0
/*
 * /proc/<pid>/fail-nth of Linux (its Documentation/fault-injection/fault-injection.rst). The hosted
 * kernel has that file, too.
 */
#include "inject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEBUGFS "/sys/kernel/debug/"

/*
 * By default only allocations that may not sleep fail, and only those of several pages, and each
 * failure writes a stack to the log. Change that.
 */
static const struct setting {
	const char *path, *value;
	char before[32];
} defaults[] = {
	{DEBUGFS "failslab/ignore-gfp-wait", "N", ""},
	{DEBUGFS "failslab/verbose", "0", ""},
	{DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N", ""},
	{DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N", ""},
	{DEBUGFS "fail_page_alloc/min-order", "0", ""},
	{DEBUGFS "fail_page_alloc/verbose", "0", ""},
	{DEBUGFS "fail_usercopy/verbose", "0", ""},
};

#define SETTINGS (sizeof(defaults) / sizeof(defaults[0]))

static struct setting settings[SETTINGS];
static struct wd_host *host;
static int nth_fd = -1;

/* Files of debugfs have no position: open the file for each read or write. */
static ssize_t setting_io(const char *path, int how, char *text, size_t size)
{
	const int fd = open(path, how | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = how == O_RDONLY ? read(fd, text, size) : write(fd, text, size);
	if (length < 0)
		length = -errno;
	close(fd);
	return length;
}

static int put_value(const char *path, const char *value)
{
	const ssize_t length = setting_io(path, O_WRONLY, (char *)value, strlen(value));

	return length < 0 ? length : 0;
}

static int swap_value(struct setting *setting)
{
	const ssize_t length =
		setting_io(setting->path, O_RDONLY, setting->before, sizeof(setting->before) - 1);

	return length < 0 ? length : put_value(setting->path, setting->value);
}

static void restore(size_t count)
{
	while (count--)
		if (put_value(settings[count].path, settings[count].before))
			fprintf(stderr, "%s is not restored\n", settings[count].path);
}

static int swap_settings(void)
{
	memcpy(settings, defaults, sizeof(defaults));
	for (size_t i = 0; i < SETTINGS; i++) {
		if (!swap_value(&settings[i]))
			continue;
		restore(i);
		return -ENODEV;
	}
	return 0;
}

/* The hosted kernel has no such settings, because there every request can fail. */
static bool has_settings(void)
{
	return !strcmp(wd_host_kind(host), "native");
}

int inject_open(struct wd_host *of, const char **reason)
{
	host = of;
	nth_fd = wd_host_dev_open(host, "/proc/thread-self/fail-nth", O_RDWR);
	if (nth_fd < 0) {
		*reason = "this kernel injects no failures";
		return -ENODEV;
	}
	if (has_settings() && swap_settings()) {
		wd_host_dev_close(host, nth_fd);
		*reason = "no access to the fault injection in debugfs";
		return -ENODEV;
	}
	return 0;
}

void inject_close(void)
{
	if (has_settings())
		restore(SETTINGS);
	wd_host_dev_close(host, nth_fd);
}

void inject_arm(unsigned nth)
{
	char text[16];

	if (wd_host_pwrite(host, nth_fd, text, snprintf(text, sizeof(text), "%u", nth), 0) < 0)
		abort();
}

/* Reads and writes of the count copy user memory, so they may fail, too. */
bool inject_disarm(void)
{
	char text[16] = "";
	const bool read_failed = wd_host_pread(host, nth_fd, text, sizeof(text) - 1, 0) < 0;
	bool off = false;

	for (int i = 0; i < 3 && !off; i++)
		off = wd_host_pwrite(host, nth_fd, "0", 1, 0) == 1;
	if (!off)
		abort();
	return !read_failed && atoi(text) == 0;
}
