// SPDX-License-Identifier: Apache-2.0
/*
 * What mappings cost the kernel: bytes that it charges to the memory cgroup of the process, for each
 * GiB that is mapped, with the entries of the IOMMU's table. Pages of 4 KiB lie scattered in the
 * machine's memory; pages of 2 MiB are those of the processor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "../../common/ktap.h"
#include "../hisi_qm/reach.h"

#define GROUPS "/tmp/iommufd_cost"
#define GROUP GROUPS "/cost"
#define MIB (1ul << 20)
#define GIB (1ul << 30)
#define HUGE_SIZE (2 * MIB)
#define LENGTH (256 * MIB)
#define IOVA (64 * GIB)

static struct device device;
static struct reach reach;
static bool native, grouped;

static bool write_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	const bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

/* Move this process to a group of its own. */
static bool group_enter(void)
{
	if (mkdir(GROUPS, 0700) && errno != EEXIST)
		return false;
	if (mount("none", GROUPS, "cgroup2", 0, NULL))
		return false;
	if (write_text(GROUPS "/cgroup.subtree_control", "+memory") && !mkdir(GROUP, 0700) &&
	    write_text(GROUP "/cgroup.procs", "0"))
		return true;
	rmdir(GROUP);
	umount(GROUPS);
	return false;
}

static void group_leave(void)
{
	write_text(GROUPS "/cgroup.procs", "0");
	rmdir(GROUP);
	umount(GROUPS);
	rmdir(GROUPS);
}

/* Linux adds the counts of all processors up when enough of them have changed: change many. */
static void add_counts_up(void)
{
	uint8_t *pages =
		mmap(NULL, 16 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return;
	madvise(pages, 16 * MIB, MADV_NOHUGEPAGE);
	memset(pages, 1, 16 * MIB);
	munmap(pages, 16 * MIB);
}

/* Bytes of the kernel that are charged to the group. */
static long charged(void)
{
	long bytes = -1, value;
	FILE *statistics;
	char name[64];

	add_counts_up();
	statistics = fopen(GROUP "/memory.stat", "r");
	while (statistics && fscanf(statistics, "%63s %ld", name, &value) == 2)
		if (!strcmp(name, "kernel"))
			bytes = value;
	if (statistics)
		fclose(statistics);
	return bytes;
}

/* Map the memory @times times. @return bytes charged for each GiB, or -errno */
static long cost_of(uint8_t *memory, size_t length, unsigned times)
{
	const long before = charged();
	long after;
	int ret = 0;

	for (unsigned i = 0; i < times && !ret; i++)
		ret = space_map(&reach.space, memory, length, IOVA + i * length);
	after = charged();
	for (unsigned i = 0; i < times; i++)
		space_unmap(&reach.space, IOVA + i * length, length);
	return ret ? ret : (after - before) / (long)(times * length / MIB) * (long)(GIB / MIB);
}

static uint8_t *aligned_memory(size_t length, int advice)
{
	uint8_t *area = mmap(NULL, length + HUGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		return NULL;
	area = (uint8_t *)(((uintptr_t)area + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	madvise(area, length, advice);
	return area;
}

static bool no_group(void)
{
	if (!native)
		ktap_skip_case("a hosted kernel has no cgroups");
	else if (!grouped)
		ktap_skip_case("no cgroup of version 2 can be made");
	return !grouped;
}

static void small_pages(void)
{
	const size_t pages = LENGTH / PAGE;
	uint8_t *memory;
	long cost;

	if (no_group())
		return;
	memory = aligned_memory(LENGTH, MADV_NOHUGEPAGE);
	if (!EXPECT(memory, "memory"))
		return;
	/* The kernel gives pages in the order of the touches: neighbours do not get neighbours. */
	for (size_t i = 0; i < pages; i++)
		memory[i * 40503 % pages * PAGE] = 1;
	cost = cost_of(memory, LENGTH, 4);
	printf("# %ld bytes for each GiB in pages of 4 KiB\n", cost);
	/* 8 to 16 bytes for each page, and an entry of 8 bytes, in tables with tables above. */
	EXPECT(cost > 0 && cost <= (long)(GIB / PAGE * 24 + 64 * 1024), "%ld bytes", cost);
	munmap(memory, LENGTH);
}

static void huge_pages(void)
{
	uint8_t *memory;
	long cost;

	if (no_group())
		return;
	memory = aligned_memory(LENGTH, MADV_HUGEPAGE);
	if (!EXPECT(memory, "memory"))
		return;
	memset(memory, 1, LENGTH);
	cost = cost_of(memory, LENGTH, 512);
	printf("# %ld bytes for each GiB in pages of 2 MiB\n", cost);
	EXPECT(cost > 0 && cost <= 32 * 1024, "%ld bytes", cost);
	munmap(memory, LENGTH);
}

static const struct ktap_case cases[] = {
	{"pages of 4 KiB", small_pages},
	{"pages of 2 MiB", huge_pages},
};

static int set_up(void)
{
	int ret = device_open(&device);

	if (ret)
		return ret;
	native = !strcmp(wd_host_kind(device.host), "native");
	grouped = native && group_enter();
	ret = reach_open(&device, 0, &reach);
	if (!ret)
		return 0;
	if (grouped)
		group_leave();
	device_close(&device);
	return ret;
}

static void tear_down(void)
{
	reach_close(&reach);
	space_close(&reach.space);
	if (grouped)
		group_leave();
	device_close(&device);
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
