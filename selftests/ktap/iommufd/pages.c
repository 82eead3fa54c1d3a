// SPDX-License-Identifier: Apache-2.0
/*
 * Pinned pages stay the device's memory, whatever happens to the file or the mapping that they come
 * from (IOMMUFD-MAP-5): files shrink and get holes, huge pages are divided. The device reads and
 * writes the pages.
 *
 * A hosted device reaches memory by the addresses of the process. So it cannot reach pages that the
 * process has no address for any more, and there these cases only try what the process still has.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "../../common/ktap.h"
#include "../../common/locked.h"
#include "../hisi_qm/reach.h"

#define IOVA 0x40000000ul
#define OTHER_IOVA 0x80000000ul
#define HUGE_SIZE (2ul << 20)
#define HUGE_PAGES (HUGE_SIZE / PAGE)
#define FILE_PAGES 16u
#define FILE_SIZE (FILE_PAGES * PAGE)

static struct device device;
static struct reach reach;
static bool native;
/* What is pinned before a case. */
static long pinned_before, all_pinned_before;

static int command(unsigned long request, void *argument)
{
	return wd_host_ioctl(device.host, reach.space.fd, request, argument);
}

static void remember_pins(void)
{
	pinned_before = pages_in("VmPin:");
	all_pinned_before = pages_pinned_by_all();
}

/* How many pages this process has pinned since then. On a hosted kernel nobody knows: as @wanted. */
static long pins(long wanted)
{
	return native ? pages_in("VmPin:") - pinned_before : wanted;
}

static void expect_no_pins(void)
{
	EXPECT(pins(0) == 0, "%ld pages are charged", pins(0));
	EXPECT(!native || pages_pinned_by_all() == all_pinned_before, "%ld pages stay pinned",
	       pages_pinned_by_all() - all_pinned_before);
}

static void fill(uint8_t *memory, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		memset(memory + i * PAGE, 'A' + (int)(i % 64), PAGE);
}

/* Does the device read what fill() has put into page @page of the mapping? */
static bool reads_filled(uint64_t iova, unsigned page)
{
	uint8_t wanted[PAGE];

	memset(wanted, 'A' + (int)(page % 64), PAGE);
	return device_reads(&reach, iova + page * PAGE, wanted);
}

static void expect_filled(uint64_t iova, unsigned first, unsigned last, const char *when)
{
	for (unsigned page = first; page <= last; page++)
		EXPECT(reads_filled(iova, page), "%s: page %u is another one", when, page);
}

static int copy(struct reach *to, uint64_t from, size_t length, uint64_t iova)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.dst_ioas_id = to->space.ioas,
		.src_ioas_id = reach.space.ioas,
		.length = length,
		.dst_iova = iova,
		.src_iova = from,
	};

	return command(IOMMU_IOAS_COPY, &cmd);
}

/* --- files --- */

static int file_of_pages(void)
{
	const int fd = memfd_create("pages", MFD_CLOEXEC);

	EXPECT(fd >= 0 && !ftruncate(fd, FILE_SIZE), "file");
	return fd;
}

static uint8_t *shared_mapping(int fd)
{
	uint8_t *memory = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int map_file(int file, uint64_t iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = reach.space.ioas,
		.fd = file,
		.length = FILE_SIZE,
		.iova = iova,
	};

	return command(IOMMU_IOAS_MAP_FILE, &cmd);
}

/* After the file has lost the pages from @page on, the device has them. */
static void expect_lost_pages(unsigned page)
{
	uint8_t found[PAGE];

	if (!native)
		return;
	expect_filled(IOVA, page, FILE_PAGES - 1, "after the end of the file");
	EXPECT(device_writes(&reach, IOVA + page * PAGE, 3), "the device writes there");
	EXPECT(device_page(&reach, IOVA + page * PAGE, found) && page_is_written(found, 3),
	       "and reads it");
}

/* Pinned pages of a file that shrinks. @again: map the file once more. @wanted: its error. */
static void shrinks(int fd, uint8_t *memory, int (*again)(int fd), int wanted)
{
	static const uint8_t zeroes[PAGE];

	EXPECT(pins(FILE_PAGES) == FILE_PAGES, "pinned: %ld", pins(0));
	EXPECT(!ftruncate(fd, 4 * PAGE), "the file becomes shorter");
	EXPECT(pins(FILE_PAGES) == FILE_PAGES, "still pinned: %ld", pins(0));
	expect_filled(IOVA, 0, 3, "what the file still has");
	expect_lost_pages(4);
	EXPECT(again(fd) == wanted, "what is gone cannot be pinned: %d", again(fd));
	EXPECT(pins(FILE_PAGES) == FILE_PAGES, "that has pinned nothing");
	EXPECT(!ftruncate(fd, FILE_SIZE), "the file is as long as before");
	EXPECT(!memcmp(memory + 5 * PAGE, zeroes, PAGE), "with other pages");
	if (native)
		expect_filled(IOVA, 5, FILE_PAGES - 1, "the file has grown");
	EXPECT(space_unmap(&reach.space, IOVA, FILE_SIZE) == 0, "unmap");
	expect_no_pins();
	EXPECT(again(fd) == 0, "it can be pinned again");
	EXPECT(device_reads(&reach, OTHER_IOVA + 5 * PAGE, zeroes), "with what it has now");
	EXPECT(space_unmap(&reach.space, OTHER_IOVA, FILE_SIZE) == 0, "unmap");
	expect_no_pins();
}

static uint8_t *shared;

static int map_shared_again(int fd)
{
	(void)fd;
	return space_map(&reach.space, shared, FILE_SIZE, OTHER_IOVA);
}

static void mapping_of_a_file_that_shrinks(void)
{
	const int fd = file_of_pages();

	shared = shared_mapping(fd);
	if (!EXPECT(shared, "mapping"))
		return;
	fill(shared, FILE_PAGES);
	remember_pins();
	EXPECT(space_map(&reach.space, shared, FILE_SIZE, IOVA) == 0, "map");
	shrinks(fd, shared, map_shared_again, -EFAULT);
	munmap(shared, FILE_SIZE);
	close(fd);
}

static int imported;

static int map_file_again(int fd)
{
	(void)fd;
	return map_file(imported, OTHER_IOVA);
}

static void file_that_shrinks(void)
{
	const int fd = file_of_pages();
	uint8_t *memory = shared_mapping(fd);

	imported = wd_host_import_file(device.host, fd);
	if (!EXPECT(memory && imported >= 0, "file"))
		return;
	fill(memory, FILE_PAGES);
	remember_pins();
	EXPECT(map_file(imported, IOVA) == 0, "map");
	shrinks(fd, memory, map_file_again, -EINVAL);
	wd_host_dev_close(device.host, imported);
	munmap(memory, FILE_SIZE);
	close(fd);
}

/* A hole takes pages out of the middle of a file. */
static void hole_in_a_file(void)
{
	const int fd = file_of_pages();
	uint8_t *memory = shared_mapping(fd);
	static const uint8_t zeroes[PAGE];

	if (!EXPECT(memory, "mapping"))
		return;
	fill(memory, FILE_PAGES);
	remember_pins();
	EXPECT(space_map(&reach.space, memory, FILE_SIZE, IOVA) == 0, "map");
	EXPECT(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 6 * PAGE, 2 * PAGE),
	       "a hole");
	EXPECT(!memcmp(memory + 6 * PAGE, zeroes, PAGE), "the process has other pages");
	expect_filled(IOVA, 0, 5, "before the hole");
	expect_filled(IOVA, 8, FILE_PAGES - 1, "after the hole");
	if (native)
		expect_filled(IOVA, 6, 7, "in the hole");
	EXPECT(space_unmap(&reach.space, IOVA, FILE_SIZE) == 0, "unmap");
	expect_no_pins();
	munmap(memory, FILE_SIZE);
	close(fd);
}

/* --- huge pages --- */

/* A huge page of this process: memory of its own, filled. */
struct huge {
	uint8_t *area;
	uint8_t *memory;
};

static void huge_free(struct huge *huge)
{
	munmap(huge->area, 2 * HUGE_SIZE);
}

/* KiB of huge pages in the whole process. */
static long huge_kib(void)
{
	FILE *smaps = fopen("/proc/self/smaps_rollup", "r");
	long kib = 0;
	char line[256];

	while (smaps && fgets(line, sizeof(line), smaps))
		if (sscanf(line, "AnonHugePages: %ld", &kib) == 1)
			break;
	if (smaps)
		fclose(smaps);
	return kib;
}

/* @return false, and the case skips, if the kernel has no huge page. A hosted one needs none. */
static bool huge_alloc(struct huge *huge)
{
	const long before = huge_kib();

	huge->area = mmap(NULL, 2 * HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (!EXPECT(huge->area != MAP_FAILED, "memory"))
		return false;
	huge->memory = (uint8_t *)(((uintptr_t)huge->area + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	madvise(huge->memory, HUGE_SIZE, MADV_HUGEPAGE);
	fill(huge->memory, HUGE_PAGES);
	if (!native || huge_kib() >= before + (long)(HUGE_SIZE / 1024))
		return true;
	ktap_skip_case("the kernel gives no huge page");
	huge_free(huge);
	return false;
}

static int track(const struct space *space)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
		.hwpt_id = space->hwpt,
	};

	return command(IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

/* How many pages of 4 KiB are dirty. A bit of the table stands for all pages of its entry. */
static int dirty_pages(const struct space *space, uint64_t iova, size_t length)
{
	uint8_t bitmap[HUGE_PAGES / 8] = {0};
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = space->hwpt,
		.iova = iova,
		.length = length,
		.page_size = PAGE,
		.data = (uintptr_t)bitmap,
	};
	int ret = command(IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), count = 0;

	for (unsigned page = 0; page < length / PAGE; page++)
		count += bitmap[page / 8] >> page % 8 & 1;
	return ret ? ret : count;
}

/* Which page of the huge page the second space has, and how many. */
#define PART 100u
#define PART_PAGES 3u

static void copy_of_a_part(struct huge *huge, struct reach *second)
{
	EXPECT(copy(second, IOVA + PART * PAGE, PART_PAGES * PAGE, OTHER_IOVA) == 0, "copy");
	EXPECT(pins(HUGE_PAGES) == HUGE_PAGES, "pinned once: %ld", pins(0));
	EXPECT(space_unmap(&reach.space, IOVA, PAGE) == -ENOENT, "no part can be unmapped");
	EXPECT(space_unmap(&reach.space, IOVA + PAGE, HUGE_SIZE) == -ENOENT, "nor another one");
	EXPECT(reads_filled(IOVA, 0) && reads_filled(IOVA, HUGE_PAGES - 1), "all is there");
	EXPECT(track(&second->space) == 0, "tracking on");
	EXPECT(device_writes(second, OTHER_IOVA + PAGE, 8), "a write through the copy");
	EXPECT(page_is_written(huge->memory + (PART + 1) * PAGE, 8), "is in the process's page");
	EXPECT(dirty_pages(&second->space, OTHER_IOVA, PART_PAGES * PAGE) == 1,
	       "the copy has small pages");
	EXPECT(space_unmap(&reach.space, IOVA, HUGE_SIZE) == 0, "unmap");
	EXPECT(pins(PART_PAGES) == PART_PAGES, "what the copy needs: %ld", pins(0));
	EXPECT(device_reads(second, OTHER_IOVA + 2 * PAGE, huge->memory + (PART + 2) * PAGE),
	       "is there");
	EXPECT(space_unmap(&second->space, OTHER_IOVA, PART_PAGES * PAGE) == 0, "unmap");
}

/* IOMMUFD-MAP-7: one entry of the IOMMU's table for a huge page, which is divided only by a copy. */
static void huge_pages_stay_huge(void)
{
	struct reach second;
	struct huge huge;

	if (!huge_alloc(&huge))
		return;
	if (!EXPECT(reach_beside(&reach, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &second) == 0, "second"))
		return;
	remember_pins();
	EXPECT(space_map(&reach.space, huge.memory, HUGE_SIZE, IOVA) == 0, "map");
	EXPECT(track(&reach.space) == 0, "tracking on");
	EXPECT(device_writes(&reach, IOVA + 5 * PAGE, 7), "a write");
	EXPECT(page_is_written(huge.memory + 5 * PAGE, 7), "is there");
	EXPECT(dirty_pages(&reach.space, IOVA, HUGE_SIZE) == HUGE_PAGES, "one huge page");
	copy_of_a_part(&huge, &second);
	expect_no_pins();
	reach_close(&second);
	huge_free(&huge);
}

/* The process divides its huge page, and the device has all of it before and after. */
static void divided_by_its_process(void)
{
	struct huge huge;
	uint8_t *tail;

	if (!huge_alloc(&huge))
		return;
	tail = huge.memory + HUGE_SIZE / 2;
	remember_pins();
	EXPECT(space_map(&reach.space, huge.memory, HUGE_SIZE, IOVA) == 0, "map");
	EXPECT(!mprotect(huge.memory + 20 * PAGE, PAGE, PROT_READ), "other rights for a page");
	expect_filled(IOVA, 19, 21, "other rights");
	/* To page memory out the kernel divides it, but not if it is pinned. */
	EXPECT(!madvise(huge.memory + 30 * PAGE, 40 * PAGE, MADV_PAGEOUT), "page a part out");
	expect_filled(IOVA, 30, 69, "paged out");
	memset(huge.memory + 31 * PAGE, 'p', PAGE);
	EXPECT(device_reads(&reach, IOVA + 31 * PAGE, huge.memory + 31 * PAGE), "the same page");
	EXPECT(device_writes(&reach, IOVA + 32 * PAGE, 9), "a write");
	EXPECT(page_is_written(huge.memory + 32 * PAGE, 9), "is in the process's page");
	if (native) {
		static const uint8_t zeroes[PAGE];

		EXPECT(!madvise(huge.memory + 80 * PAGE, 3 * PAGE, MADV_DONTNEED), "give back");
		EXPECT(!memcmp(huge.memory + 80 * PAGE, zeroes, PAGE), "other pages");
		EXPECT(!munmap(tail, HUGE_SIZE / 2), "no mapping");
		expect_filled(IOVA, 79, 84, "given back");
		expect_filled(IOVA, HUGE_PAGES / 2 - 1, HUGE_PAGES / 2 + 1, "unmapped");
		expect_filled(IOVA, HUGE_PAGES - 2, HUGE_PAGES - 1, "unmapped");
	}
	EXPECT(pins(HUGE_PAGES) == HUGE_PAGES, "all is pinned: %ld", pins(0));
	EXPECT(space_unmap(&reach.space, IOVA, HUGE_SIZE) == 0, "unmap");
	expect_no_pins();
	EXPECT(space_map(&reach.space, huge.memory, 64 * PAGE, IOVA) == -EFAULT, "no right");
	expect_no_pins();
	EXPECT(!mprotect(huge.memory + 20 * PAGE, PAGE, PROT_READ | PROT_WRITE), "rights");
	EXPECT(space_map(&reach.space, huge.memory, 64 * PAGE, IOVA) == 0, "map what is there");
	EXPECT(device_reads(&reach, IOVA + 31 * PAGE, huge.memory + 31 * PAGE), "the same page");
	EXPECT(space_unmap(&reach.space, IOVA, 64 * PAGE) == 0, "unmap");
	expect_no_pins();
	huge_free(&huge);
}

/* Only some pages of a huge page are pinned when the process gives all of it back. */
static void a_part_that_outlives_the_rest(void)
{
	struct huge huge;

	if (!huge_alloc(&huge))
		return;
	remember_pins();
	EXPECT(space_map(&reach.space, huge.memory + PART * PAGE, PART_PAGES * PAGE,
			 IOVA + PART * PAGE) == 0,
	       "map a part");
	EXPECT(pins(PART_PAGES) == PART_PAGES, "pinned: %ld", pins(0));
	EXPECT(!madvise(huge.memory, PART * PAGE, MADV_DONTNEED), "give the begin back");
	expect_filled(IOVA, PART, PART + PART_PAGES - 1, "without the begin");
	memset(huge.memory + PART * PAGE, 'q', PAGE);
	EXPECT(device_reads(&reach, IOVA + PART * PAGE, huge.memory + PART * PAGE),
	       "the same page");
	if (native) {
		EXPECT(!munmap(huge.memory, HUGE_SIZE), "give all back");
		expect_filled(IOVA, PART + 1, PART + PART_PAGES - 1, "without the rest");
		EXPECT(pins(PART_PAGES) == PART_PAGES, "pinned: %ld", pins(0));
	}
	EXPECT(space_unmap(&reach.space, IOVA + PART * PAGE, PART_PAGES * PAGE) == 0, "unmap");
	expect_no_pins();
	huge_free(&huge);
}

static const struct ktap_case cases[] = {
	{"mapping of a file that shrinks", mapping_of_a_file_that_shrinks},
	{"file that shrinks", file_that_shrinks},
	{"hole in a file", hole_in_a_file},
	{"huge pages stay huge", huge_pages_stay_huge},
	{"huge page divided by its process", divided_by_its_process},
	{"part of a huge page outlives the rest", a_part_that_outlives_the_rest},
};

static int set_up(void)
{
	int ret = device_open(&device);

	if (ret)
		return ret;
	native = !strcmp(wd_host_kind(device.host), "native");
	ret = reach_open(&device, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &reach);
	if (ret)
		device_close(&device);
	return ret;
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
