// SPDX-License-Identifier: Apache-2.0
#include "swap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>

#include "sysfiles.h"

#define PARAMETERS "/sys/module/zswap/parameters/"
#define ZRAM "/dev/zram0"

static int set_parameter(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return file_write(path, value);
}

static void forget_device(const struct swap *swap)
{
	if (!strcmp(swap->device, ZRAM))
		file_write("/sys/block/zram0/reset", "1");
}

static int make_device(struct swap *swap)
{
	char command[128];

	if (!system("modprobe zram >/dev/null 2>&1") &&
	    !file_write("/sys/block/zram0/disksize", "256M"))
		strcpy(swap->device, ZRAM);
	else if (!system("modprobe brd rd_nr=1 rd_size=262144 >/dev/null 2>&1"))
		strcpy(swap->device, "/dev/ram0");
	else
		return -ENODEV;
	snprintf(command, sizeof(command), "mkswap %s >/dev/null", swap->device);
	if (!system(command))
		return swapon(swap->device, 0) ? -errno : 0;
	return -EIO;
}

static void zswap_off(const struct swap *swap)
{
	set_parameter("enabled", "0");
	set_parameter("compressor", swap->compressor);
}

int swap_begin(struct swap *swap, const char *compressor)
{
	int ret;

	memset(swap, 0, sizeof(*swap));
	ret = file_read(PARAMETERS "compressor", swap->compressor, sizeof(swap->compressor));
	if (ret)
		return ret;
	ret = set_parameter("compressor", compressor);
	if (!ret)
		ret = set_parameter("enabled", "1");
	if (!ret)
		ret = make_device(swap);
	if (ret) {
		forget_device(swap);
		zswap_off(swap);
	}
	return ret;
}

int swap_end(const struct swap *swap)
{
	if (swapoff(swap->device))
		return -errno;
	forget_device(swap);
	zswap_off(swap);
	return 0;
}
