// SPDX-License-Identifier: Apache-2.0
/*
 * The driver of the IOMMU unit is unbound while one program owns an accelerator (wd_vfio) and
 * another has a queue of the second one. Both lose them before the unit goes, and get no bus
 * mastering until the unit is back. Then everything works again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/vfio_cdev.h>

#include "owner_set_up.h"

#define DRIVER "/sys/bus/pci/drivers/wd_iommu"
#define ARENA_IOVA 0x10000000ull
#define SIZE (64ul << 10)
#define COMMAND 4
#define MASTER 4

static struct device device;
static struct owner owner = {.fd = -1};
static struct space space, theirs;
static struct queue queue;
static uint8_t *memory;
static char unit[OWNER_ADDRESS];

/* Find the only unit in the folder of its driver. */
static int unit_find(void)
{
	char names[4096], *next = names;
	const int ret = wd_host_sysfs_list(device.host, DRIVER, names, sizeof(names));

	if (ret < 0)
		return ret;
	for (char *name; (name = strsep(&next, "\n"));) {
		if (!strchr(name, ':'))
			continue;
		snprintf(unit, sizeof(unit), "%.15s", name);
		return 0;
	}
	return -ENODEV;
}

static int set_command(uint16_t command)
{
	/*
	 * Not owner_write(): it first asks for the region, and that works for a lost function, too.
	 */
	const uint64_t at = ((uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) + COMMAND;
	const int ret = (int)wd_host_pwrite(owner.host, owner.fd, &command, 2, at);

	return ret == 2 ? 0 : ret;
}

static bool has_driver(const char *address)
{
	char path[128], names[4096];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/driver", address);
	return wd_host_sysfs_list(device.host, path, names, sizeof(names)) >= 0;
}

/* Read the function's command register, if the host shows it. */
static bool is_master(const char *address)
{
	char path[128];
	uint16_t command = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.15s/config", address);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (pread(fd, &command, 2, COMMAND) != 2)
		command = 0;
	close(fd);
	return command & MASTER;
}

static bool device_is_there(void)
{
	char names[4096], *next = names;

	if (wd_host_sysfs_list(device.host, "/sys/class/uacce", names, sizeof(names)) < 0)
		return false;
	for (char *name; (name = strsep(&next, "\n"));)
		if (!strcmp(name, strrchr(device.path, '/') + 1))
			return true;
	return false;
}

static int own(void)
{
	int ret = owner_open(&owner);

	/* The file appears only at the end of the driver's probe. */
	for (unsigned ms = 0; ret && ms < 60000; ms++) {
		usleep(1000);
		ret = owner_open(&owner);
	}
	if (!ret)
		ret = owner_bind(&owner, space.fd);
	return ret ? ret : set_command(6);
}

static bool works(void)
{
	const struct request request = {.algorithm = 1,
					.source = ARENA_IOVA,
					.dest = ARENA_IOVA + SIZE,
					.length = SIZE,
					.space = SIZE};
	struct result result = {0};

	queue_send(&queue, &request);
	return EXPECT(queue_wait(&queue, &result, 20000) == 0, "completion") &&
	       EXPECT(!result.status, "status %u", result.status);
}

static int use_queue(void)
{
	int ret = space_open(&device, &theirs);

	if (!ret)
		ret = space_map(&theirs, memory, 2 * SIZE, ARENA_IOVA);
	return ret ? ret : queue_ready(&device, &theirs, &queue, COMPRESS);
}

/* --- cases --- */

static void before(void)
{
	EXPECT(own() == 0, "a function of one's own");
	EXPECT(use_queue() == 0, "a queue");
	works();
}

static void users_lose_their_functions_first(void)
{
	if (!EXPECT(wd_host_sysfs_write(device.host, DRIVER "/unbind", unit) >= 0, "unbind"))
		return;
	EXPECT(!has_driver(owner.address), "the owner's function has a driver");
	EXPECT(!is_master(owner.address), "the owner's function is a bus master");
}

static void no_way_back_to_bus_mastering(void)
{
	EXPECT(set_command(6) == -ENODEV, "command register");
	EXPECT(owner_ioctl(&owner, VFIO_DEVICE_RESET, NULL) == -ENODEV, "reset");
	/* A driver cannot take the function now either. */
	EXPECT(wd_host_sysfs_write(device.host, "/sys/bus/pci/drivers/wd_vfio/bind",
				   owner.address) < 0,
	       "bound without a unit");
	EXPECT(!is_master(owner.address), "the function is a bus master");
}

static void everything_works_when_it_is_back(void)
{
	owner_close(&owner);
	queue_close(&queue);
	space_close(&theirs);
	if (!EXPECT(wd_host_sysfs_write(device.host, DRIVER "/bind", unit) >= 0, "bind"))
		return;
	/* The kernel gives the functions back to their drivers a little later. */
	for (unsigned ms = 0; ms < 60000 && !device_is_there(); ms++)
		usleep(1000);
	EXPECT(own() == 0, "a function of one's own");
	EXPECT(use_queue() == 0, "a queue");
	works();
}

static const struct ktap_case cases[] = {
	{"users_have_functions", before},
	{"users_lose_their_functions_first", users_lose_their_functions_first},
	{"no_way_back_to_bus_mastering", no_way_back_to_bus_mastering},
	{"everything_works_when_it_is_back", everything_works_when_it_is_back},
};

static int set_up(void)
{
	int ret;

	ret = owner_open_device(&device);
	if (ret)
		return ret;
	memory = pages_alloc(2 * SIZE);
	ret = owner_choose(&device, &owner);
	if (!ret)
		ret = unit_find();
	if (!ret)
		ret = owner_give(owner.host, owner.address, "wd_vfio");
	return ret ? ret : space_open(&device, &space);
}

static void tear_down(void)
{
	owner_close(&owner);
	queue_close(&queue);
	space_close(&theirs);
	space_close(&space);
	owner_give(owner.host, owner.address, "hisi_zip");
	pages_free(memory, 2 * SIZE);
	device_close(&device);
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
