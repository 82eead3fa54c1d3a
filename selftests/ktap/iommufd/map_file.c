// SPDX-License-Identifier: Apache-2.0
/* IOAS_MAP_FILE: errors, and which files can be pinned. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../common/ktap.h"
#include "context.h"

#define SIZE (16 * PAGE)

static struct context context;
static int queue = -1;
static uint32_t device;
static struct memory_file memory = {-1, -1};

static int try_map(uint32_t flags, uint32_t ioas, int fd, uint64_t start, uint64_t length,
		   uint64_t iova)
{
	return map_file(&context, flags, ioas, fd, start, length, iova);
}

/*
 * IOMMUFD-FILE-1: every call is wrong in several ways. The kernel must report the error that is
 * documented first.
 */
static void errors_in_order(void)
{
	const uint32_t ioas = context.ioas;

	EXPECT(try_map(8, 77, -1, EVERYTHING, 0, EVERYTHING) == -EOPNOTSUPP, "unknown flag");
	EXPECT(try_map(0, 77, -1, EVERYTHING, 0, EVERYTHING) == -EOVERFLOW, "IOVA");
	EXPECT(try_map(0, 77, -1, EVERYTHING, EVERYTHING, 0) == -EOVERFLOW, "length");
	EXPECT(try_map(0, 77, -1, EVERYTHING, 0, 0) == -EINVAL, "neither read nor write");
	EXPECT(try_map(RW, 77, -1, EVERYTHING, 0, 0) == -ENOENT, "no such IOAS");
	EXPECT(try_map(RW, ioas, -1, EVERYTHING, 0, 0) == -EINVAL, "nothing to map");
	EXPECT(try_map(RW, ioas, -1, EVERYTHING, 2, 0) == -EOVERFLOW, "the range wraps");
	EXPECT(try_map(RW | FIXED, ioas, -1, 0, PAGE, EVERYTHING - 4) == -EBADF, "no file");
	EXPECT(try_map(RW | FIXED, ioas, 12345, 0, PAGE, EVERYTHING - 4) == -EBADF, "not open");
	/* A mapping of the context in itself would keep it for ever. */
	EXPECT(device_is_mock ||
		       try_map(RW | FIXED, ioas, context.fd, 0, PAGE, EVERYTHING - 4) == -EINVAL,
	       "not a regular file");
	EXPECT(try_map(RW | FIXED, ioas, memory.file, 0, PAGE, EVERYTHING - 4) == -EOVERFLOW,
	       "IOVA wraps");
	EXPECT(try_map(RW | FIXED, ioas, memory.file, 0, PAGE, 0x1010000) == 0, "a mapping");
	EXPECT(try_map(RW | FIXED, ioas, memory.file, 0, PAGE, 0x1010000) == -EEXIST, "again");
	EXPECT(unmap_at(&context, 0x1010000, PAGE) == 0, "unmap");
}

static void no_look_at_the_file(void)
{
	EXPECT(try_map(RW | FIXED, context.ioas, memory.file, SIZE, PAGE, 0x1010000) == 0,
	       "after its end");
	EXPECT(unmap_at(&context, 0x1010000, PAGE) == 0, "unmap");
}

static uint32_t table(void)
{
	uint32_t id = 0;

	EXPECT(hwpt_alloc(&context, device, context.ioas, 0, &id) == 0, "a table");
	return id;
}

static void what_can_be_pinned(void)
{
	const uint32_t hwpt = table();

	EXPECT(try_map(RW | FIXED, context.ioas, memory.file, 0, SIZE, 0x1010000) == 0,
	       "all of a memfd");
	EXPECT(try_map(RW | FIXED, context.ioas, memory.file, SIZE - PAGE, PAGE, 0x1040000) == 0,
	       "its end");
	EXPECT(try_map(RW | FIXED, context.ioas, memory.file, SIZE - PAGE, 2 * PAGE, 0x1050000) ==
		       -EINVAL,
	       "more than it has");
	EXPECT(try_map(RW | FIXED, context.ioas, memory.file, 1ul << 40, PAGE, 0x1050000) ==
		       -EINVAL,
	       "far after its end");
	EXPECT(try_map(RW | FIXED, context.ioas, memory.file, 1, PAGE, 0x1050000) == -EINVAL,
	       "not aligned to pages");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "unmap");
	EXPECT(destroy(&context, hwpt) == 0, "destroy");
}

static void another_file_system(void)
{
	const int other = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	const int imported = wd_host_import_file(host, other);
	uint32_t hwpt;

	EXPECT(imported >= 0, "a regular file");
	EXPECT(try_map(IOMMU_IOAS_MAP_READABLE | FIXED, context.ioas, imported, 0, PAGE,
		       0x1010000) == 0,
	       "a record");
	EXPECT(unmap_at(&context, 0x1010000, PAGE) == 0, "unmap");
	hwpt = table();
	EXPECT(try_map(IOMMU_IOAS_MAP_READABLE | FIXED, context.ioas, imported, 0, PAGE,
		       0x1010000) == -EINVAL,
	       "cannot be pinned");
	EXPECT(destroy(&context, hwpt) == 0, "destroy");
	wd_host_dev_close(host, imported);
	close(other);
}

/* IOMMUFD-FILE-3: a device must not write what the owner of the descriptor must not write. */
static void rights(void)
{
	const int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const uint32_t hwpt = table();
	char path[64];
	int readable, imported, imported_sealed;

	if (device_is_mock) {
		ktap_skip_case("Linux's iommufd does not look at the rights of a descriptor");
		EXPECT(destroy(&context, hwpt) == 0, "destroy");
		close(sealed);
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory.memfd);
	readable = open(path, O_RDONLY | O_CLOEXEC);
	EXPECT(readable >= 0 && sealed >= 0, "descriptors");
	EXPECT(ftruncate(sealed, PAGE) == 0, "size");
	EXPECT(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE) == 0, "seal");
	imported = wd_host_import_file(host, readable);
	imported_sealed = wd_host_import_file(host, sealed);
	EXPECT(try_map(RW | FIXED, context.ioas, imported, 0, PAGE, 0x1010000) == -EACCES,
	       "write through a descriptor for reading");
	EXPECT(try_map(RW | FIXED, context.ioas, imported_sealed, 0, PAGE, 0x1010000) == -EPERM,
	       "write what is sealed");
	EXPECT(try_map(IOMMU_IOAS_MAP_READABLE | FIXED, context.ioas, imported, 0, PAGE,
		       0x1010000) == 0,
	       "read");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "unmap");
	EXPECT(destroy(&context, hwpt) == 0, "destroy");
	wd_host_dev_close(host, imported);
	wd_host_dev_close(host, imported_sealed);
	close(readable);
	close(sealed);
}

/* As with memory of a process: the first table pins what was only a record, or it is not made. */
static void a_file_that_shrinks(void)
{
	uint32_t id = 0;

	EXPECT(try_map(RW | FIXED, context.ioas, memory.file, 0, SIZE, 0x1010000) == 0, "a record");
	EXPECT(ftruncate(memory.memfd, PAGE) == 0, "the file becomes shorter");
	EXPECT(hwpt_alloc(&context, device, context.ioas, 0, &id) == -EINVAL, "a table");
	EXPECT(ftruncate(memory.memfd, SIZE) == 0, "and as long as before");
	EXPECT(hwpt_alloc(&context, device, context.ioas, 0, &id) == 0, "a table");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "unmap");
	EXPECT(destroy(&context, id) == 0, "destroy");
}

/* Change how many huge pages the kernel of a native host keeps. */
static void huge_pages_reserve(long change)
{
	FILE *file = strcmp(wd_host_kind(host), "native")
			     ? NULL
			     : fopen("/proc/sys/vm/nr_hugepages", "r+");
	long before = 0;

	if (file && fscanf(file, "%ld", &before) == 1) {
		rewind(file);
		fprintf(file, "%ld", before + change);
	}
	if (file)
		fclose(file);
}

/* A huge page is one block of a file, and mapped whole; the mapping of the IOAS may begin inside. */
static void huge_pages_of_a_file(void)
{
	const size_t huge = 2ul << 20;
	const int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	uint32_t hwpt;
	int imported;
	void *all;

	if (fd >= 0 && ftruncate(fd, 2 * huge))
		perror("ftruncate");
	all = fd < 0 ? MAP_FAILED : mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED) {
		ktap_skip_case("this machine has no free huge pages of 2 MiB");
		close(fd);
		return;
	}
	munmap(all, 2 * huge);
	imported = wd_host_import_file(host, fd);
	hwpt = table();
	EXPECT(try_map(RW | FIXED, context.ioas, imported, 0, 2 * huge, 0x10000000) == 0, "whole");
	EXPECT(try_map(RW | FIXED, context.ioas, imported, huge - PAGE, 2 * PAGE, 0x20000000) == 0,
	       "over the border of two");
	EXPECT(try_map(RW | FIXED, context.ioas, imported, 2 * huge - PAGE, 2 * PAGE, 0x30000000) ==
		       -EINVAL,
	       "over the end");
	EXPECT(unmap_at(&context, 0, EVERYTHING) == 0, "unmap");
	EXPECT(destroy(&context, hwpt) == 0, "destroy");
	wd_host_dev_close(host, imported);
	close(fd);
}

static void huge_pages(void)
{
	huge_pages_reserve(2);
	huge_pages_of_a_file();
	huge_pages_reserve(-2);
}

static const struct ktap_case cases[] = {
	{"errors of MAP_FILE in the order of the contract", errors_in_order},
	{"the file is not looked at before a page table needs it", no_look_at_the_file},
	{"what can be pinned", what_can_be_pinned},
	{"a file in another file system cannot", another_file_system},
	{"the rights of the descriptor hold for devices", rights},
	{"a file that shrinks", a_file_that_shrinks},
	{"huge pages", huge_pages},
};

static int set_up(void)
{
	return file_session_open(&context, &memory, SIZE, &queue, &device);
}

static void tear_down(void)
{
	file_session_close(&context, &memory, queue);
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), tear_down());
}
