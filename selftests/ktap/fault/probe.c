// SPDX-License-Identifier: Apache-2.0
/*
 * Every allocation of the drivers' probe fails once: the probe returns the right error, gives
 * everything back, and works when it is tried again. The program unbinds and binds drivers, so
 * nothing else may use their devices at the same time.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../common/inject.h"
#include "../../common/ktap.h"
#include "../crypto/sysfiles.h"
#include "../hisi_qm/queue.h"

/* No probe needs so many allocations: the loop would not end. */
#define MAX_NTH 4000
#define ZIP_DRIVER "/sys/bus/pci/drivers/hisi_zip"
#define UNIT_DRIVER "/sys/bus/pci/drivers/wd_iommu"

static struct device device;
static char function[64], unit[64];

/* Name of the PCI function to which the link @path leads. */
static int function_of(const char *path, char *name, size_t size)
{
	char target[PATH_MAX];

	if (!realpath(path, target))
		return -errno;
	snprintf(name, size, "%s", basename(target));
	return 0;
}

static bool bound(const char *driver, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", driver, name);
	return !access(path, F_OK);
}

/* Open the file before, so that only steps of the driver core and the driver can fail. */
static int bind_nth(const char *driver, const char *name, unsigned nth, bool *injected)
{
	char path[128];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s/bind", driver);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	inject_arm(nth);
	if (write(fd, name, strlen(name)) < 0)
		ret = -errno;
	*injected = inject_disarm();
	close(fd);
	return ret;
}

static int unbind(const char *driver, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/unbind", driver);
	return file_write(path, name);
}

static int rebind(const char *driver, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/bind", driver);
	return file_write(path, name);
}

/*
 * If a function has a node, its probe runs in a worker on that node, and allocations of a worker do
 * not fail here.
 */
static int set_node(const char *name, const char *node)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/numa_node", name);
	return file_write(path, node);
}

static long node_of(const char *name)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/numa_node", name);
	return wd_host_sysfs_read(device.host, path, text, sizeof(text)) < 0 ? -1 : atol(text);
}

/* If memory is short, the PCI core reports a taken region, or that there are no vectors. */
static bool expected(int ret)
{
	return ret == -ENOMEM || ret == -EFAULT || ret == -EBUSY || ret == -ENOSPC;
}

/* @works: returns 0 if the driver works. Called after a bind that reported success. */
static void walk(const char *driver, const char *name, int (*works)(void))
{
	unsigned nth = 1, refused = 0;
	bool injected = true;

	EXPECT(!unbind(driver, name), "unbind");
	for (; injected && nth < MAX_NTH && !ktap.case_failures; nth++) {
		int ret = bind_nth(driver, name, nth, &injected);

		refused += ret != 0;
		EXPECT(!ret == bound(driver, name), "request %u: result %d and driver", nth, ret);
		if (!ret) {
			/* The probe, or other code, did not need what failed. */
			EXPECT(!unbind(driver, name), "request %u: unbind", nth);
			continue;
		}
		EXPECT(expected(ret), "request %u: error %d", nth, ret);
	}
	EXPECT(!injected, "no end");
	EXPECT(refused, "no failure was noticed");
	EXPECT(!rebind(driver, name), "bind without failure");
	EXPECT(!works(), "it works");
	printf("# %u requests, %u probes failed\n", nth - 2, refused);
}

static int a_queue_works(void)
{
	struct space space;
	struct queue queue;
	int ret;

	/* Open the device anew: its file is another one now. */
	device_close(&device);
	ret = device_open(&device);
	if (!ret)
		ret = space_open(&device, &space);
	if (ret)
		return ret;
	ret = queue_ready(&device, &space, &queue, COMPRESS);
	if (!ret)
		queue_close(&queue);
	space_close(&space);
	return ret;
}

static void accelerator(void)
{
	const long node = node_of(function);
	char text[16];

	if (node >= 0 && set_node(function, "-1")) {
		ktap_skip_case("the node of the function cannot be taken away");
		return;
	}
	walk(ZIP_DRIVER, function, a_queue_works);
	snprintf(text, sizeof(text), "%ld", node);
	if (node >= 0)
		EXPECT(!set_node(function, text), "node back");
}

static const struct ktap_case cases[] = {
	{"probe of an accelerator", accelerator},
};

static const char *skip_reason = "only the running kernel injects failures";

static void skip(void)
{
	ktap_skip_case(skip_reason);
}

static int find_functions(void)
{
	char path[256];
	int ret;

	snprintf(path, sizeof(path), "%s/device", device.sysfs);
	ret = function_of(path, function, sizeof(function));
	return ret ? ret : function_of("/sys/class/iommu/wd-iommu0/device", unit, sizeof(unit));
}

int main(void)
{
	const struct ktap_case skipped[] = {{cases[0].name, skip}};
	int ret = device_open(&device);

	if (!ret &&
	    (strcmp(wd_host_kind(device.host), "native") || inject_open(device.host, &skip_reason)))
		KTAP_MAIN(skipped, 0, device_close(&device));
	if (!ret)
		ret = find_functions();
	KTAP_MAIN(cases, ret, (inject_close(), device_close(&device)));
}
