// SPDX-License-Identifier: Apache-2.0
/*
 * Memory is mapped for reading before the process writes it. The device must see the later writes.
 * The difficult case is private memory whose page is still shared (with the zero page, a file, or a
 * child), because a write gives the process another page.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "../../common/ktap.h"
#include "reach.h"

#define SOURCE 0x100000ul

static struct device device;
static struct reach reach;

static int map_for_reading(const void *memory, size_t length)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = reach.space.ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
		.iova = SOURCE,
	};

	return wd_host_ioctl(device.host, reach.space.fd, IOMMU_IOAS_MAP, &map);
}

/* True if the device reads @wanted in the page at @offset of the mapping. */
static bool reads(size_t offset, const uint8_t *wanted)
{
	return device_reads(&reach, SOURCE + offset, wanted);
}

/* Map @memory, write every page of it, and check that the device reads the new content. */
static void expect_one_memory(uint8_t *memory, size_t length, const char *what)
{
	if (!EXPECT(map_for_reading(memory, length) == 0, "%s: map", what))
		return;
	for (size_t at = 0; at < length; at += PAGE)
		memset(memory + at, 'a' + (int)(at / PAGE), PAGE);
	for (size_t at = 0; at < length; at += PAGE)
		EXPECT(reads(at, memory + at), "%s: page %zu is another one", what, at / PAGE);
	EXPECT(space_unmap(&reach.space, SOURCE, length) == 0, "%s: unmap", what);
}

static uint8_t *private_memory(size_t length)
{
	void *memory =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void untouched(void)
{
	uint8_t *memory = private_memory(3 * PAGE);

	if (!EXPECT(memory, "memory"))
		return;
	expect_one_memory(memory, 3 * PAGE, "never touched");
	munmap(memory, 3 * PAGE);

	memory = private_memory(3 * PAGE);
	/* This read maps the zero page. */
	EXPECT(*(volatile uint8_t *)(memory + PAGE) == 0, "zeroes");
	expect_one_memory(memory, 3 * PAGE, "only read");
	munmap(memory, 3 * PAGE);
}

static void shared_with_child(void)
{
	uint8_t *memory = private_memory(PAGE);
	int hold[2];
	pid_t child;

	if (!EXPECT(memory && !pipe(hold), "memory"))
		return;
	memset(memory, 'x', PAGE);
	child = fork();
	if (!child) {
		char nothing;

		close(hold[1]);
		_exit(read(hold[0], &nothing, 1) != 0 || memory[0] != 'x');
	}
	EXPECT(child > 0, "fork");
	expect_one_memory(memory, PAGE, "shared with a child");
	close(hold[1]);
	if (child > 0) {
		int status = -1;

		waitpid(child, &status, 0);
		EXPECT(status == 0, "the child sees what the parent writes");
	}
	close(hold[0]);
	munmap(memory, PAGE);
}

static int file_of(size_t pages)
{
	const int fd = memfd_create("ro_unshare", MFD_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, pages * PAGE)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void private_file(void)
{
	const int fd = file_of(2);
	uint8_t *memory, byte = 0;

	if (!EXPECT(fd >= 0, "file"))
		return;
	memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (EXPECT(memory != MAP_FAILED, "mapping")) {
		expect_one_memory(memory, 2 * PAGE, "private mapping of a file");
		EXPECT(pread(fd, &byte, 1, 0) == 1 && byte == 0, "the file has changed");
		munmap(memory, 2 * PAGE);
	}
	close(fd);
}

/*
 * One IOAS mapping of shared memory that this process may not write, and private memory after it.
 * Only the private part needs an early copy-on-write.
 */
static void shared_and_read_only(void)
{
	uint8_t *memory = private_memory(3 * PAGE), *writer;
	const int fd = file_of(2);

	if (!EXPECT(memory && fd >= 0, "memory"))
		return;
	writer = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT(mmap(memory, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == memory &&
		       writer != MAP_FAILED,
	       "mappings");
	EXPECT(map_for_reading(memory, 3 * PAGE) == 0, "map");
	memset(writer, 'r', PAGE);
	memset(writer + PAGE, 's', PAGE);
	memset(memory + 2 * PAGE, 't', PAGE);
	for (unsigned i = 0; i < 3; i++)
		EXPECT(reads(i * PAGE, memory + i * PAGE), "page %u is another one", i);
	EXPECT(space_unmap(&reach.space, SOURCE, 3 * PAGE) == 0, "unmap");
	munmap(writer, 2 * PAGE);
	munmap(memory, 3 * PAGE);
	close(fd);
}

/* How many KiB of the mapping at @memory are dirty, or -1. */
static long dirty_kib(const void *memory)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end, kib;
	long dirty = -1;
	bool here = false;
	char line[256];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			here = start == (uintptr_t)memory;
			if (here)
				dirty = 0;
		} else if (here && (sscanf(line, "Shared_Dirty: %lu", &kib) == 1 ||
				    sscanf(line, "Private_Dirty: %lu", &kib) == 1)) {
			dirty += kib;
		}
	}
	if (smaps)
		fclose(smaps);
	return dirty;
}

/* A device only reads a shared mapping of a file: the file must not become dirty. */
static void shared_file_stays_clean(void)
{
	const int fd = file_of(2);
	uint8_t *memory;

	if (!EXPECT(fd >= 0, "file"))
		return;
	memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (EXPECT(memory != MAP_FAILED, "mapping")) {
		EXPECT(*(volatile uint8_t *)memory == 0, "zeroes");
		EXPECT(map_for_reading(memory, 2 * PAGE) == 0, "map");
		EXPECT(dirty_kib(memory) == 0, "%ld KiB are dirty", dirty_kib(memory));
		memset(memory, 'd', PAGE);
		EXPECT(dirty_kib(memory) == PAGE / 1024, "a write is seen");
		EXPECT(reads(0, memory), "the page is another one");
		EXPECT(space_unmap(&reach.space, SOURCE, 2 * PAGE) == 0, "unmap");
		munmap(memory, 2 * PAGE);
	}
	close(fd);
}

static const struct ktap_case cases[] = {
	{"memory that was never written", untouched},
	{"memory shared with a child", shared_with_child},
	{"private mapping of a file", private_file},
	{"shared memory that may only be read", shared_and_read_only},
	{"shared file stays clean", shared_file_stays_clean},
};

static int set_up(void)
{
	int ret = device_open(&device);

	return ret ? ret : reach_open(&device, 0, &reach);
}

static void tear_down(void)
{
	reach_close(&reach);
	space_close(&reach.space);
	device_close(&device);
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
