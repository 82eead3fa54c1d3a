// SPDX-License-Identifier: Apache-2.0
/*
 * Linux's own VFIO on top of our IOMMU driver: vfio-pci and type 1 on an accelerator that this
 * program drives itself, through BAR2. The device reaches only memory that type 1 maps, and its
 * owner cannot take it out of the IOMMU's scope.
 */
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <zlib.h>

#include "../../common/ktap.h"
#include "function.h"

#define MSI_START 0xfee00000ull
#define MSI_END 0xfef00000ull
/** IOVA of the memory for common/zip.h; the rest of the arena follows it. */
#define ARENA_IOVA 0x10000000ull
#define ARENA_SIZE (1ul << 20)
/** Where the cases map memory of their own. */
#define OTHER_IOVA 0x40000000ull
#define CONTEXT_SIZE 32
#define TIMEOUT_MS 20000

static struct function function;
static struct zip_registers registers;
static struct zip zip;
static uint8_t *arena;

static uint8_t *pages(size_t length)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

/* Reset the device and start it with its tables in the arena. */
static bool restart(void)
{
	return EXPECT(function_reset(&function) == 0, "VFIO_DEVICE_RESET") &&
	       EXPECT(zip_start(&zip, &registers, arena, ARENA_IOVA) == 0, "start of the device");
}

/* Wait for @wanted faults: the IOMMU's interrupt thread counts them, a little later. */
static bool faults_reach(int64_t wanted)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	for (unsigned ms = 0; ms < TIMEOUT_MS; ms++) {
		if (fault_count(&function) >= wanted)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static bool all_bytes(const uint8_t *memory, size_t length, uint8_t value)
{
	for (size_t i = 0; i < length; i++)
		if (memory[i] != value)
			return false;
	return true;
}

/* Expect that read and write at @iova fail, and that the IOMMU has recorded both. */
static void expect_unreachable(uint64_t iova, const char *what)
{
	const int64_t before = fault_count(&function);

	EXPECT(before >= 0, "the IOMMU's counter of faults");
	EXPECT(zip_load(&zip, iova) == -EIO, "%s: read", what);
	EXPECT(faults_reach(before + 1), "%s: the read is a fault", what);
	EXPECT(zip_dump(&zip, iova) == -EIO, "%s: write", what);
	EXPECT(faults_reach(before + 2), "%s: the write is a fault", what);
}

static void container(void)
{
	EXPECT(ioctl(function.container, VFIO_GET_API_VERSION) == VFIO_API_VERSION, "version");
	EXPECT(ioctl(function.container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1,
	       "type 1 v2");
	EXPECT(ioctl(function.container, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU) == 1,
	       "the IOMMU enforces coherency");
}

static void check_ranges(const struct vfio_iommu_type1_info_cap_iova_range *ranges)
{
	const struct vfio_iova_range *range = ranges->iova_ranges;

	EXPECT(ranges->nr_iovas == 2, "%u ranges", ranges->nr_iovas);
	if (ranges->nr_iovas != 2)
		return;
	EXPECT(range[0].start == 0 && range[0].end == MSI_START - 1, "%llx-%llx", range[0].start,
	       range[0].end);
	EXPECT(range[1].start == MSI_END && range[1].end == (1ull << 48) - 1, "%llx-%llx",
	       range[1].start, range[1].end);
}

static void iova_ranges(void)
{
	union {
		struct vfio_iommu_type1_info info;
		uint8_t bytes[4096];
	} buffer = {.info.argsz = sizeof(buffer)};
	const struct vfio_info_cap_header *cap;
	bool found = false;

	EXPECT(ioctl(function.container, VFIO_IOMMU_GET_INFO, &buffer.info) == 0, "GET_INFO");
	EXPECT(buffer.info.iova_pgsizes & PAGE, "page sizes %llx", buffer.info.iova_pgsizes);
	for (uint32_t at = buffer.info.cap_offset; at; at = cap->next) {
		cap = (const void *)(buffer.bytes + at);
		if (cap->id != VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			continue;
		found = true;
		check_ranges((const void *)cap);
	}
	EXPECT(found, "no ranges");
}

static void map_errors(void)
{
	uint8_t *memory = pages(2 * PAGE);

	EXPECT(dma_map(&function, memory, 2 * PAGE, OTHER_IOVA, true) == 0, "map");
	EXPECT(dma_map(&function, memory, PAGE, OTHER_IOVA + PAGE, true) == -EEXIST, "overlap");
	EXPECT(dma_map(&function, memory, PAGE, MSI_START, true) == -EINVAL, "MSI window");
	EXPECT(dma_map(&function, memory, 2 * PAGE, MSI_END - PAGE, true) == -EINVAL,
	       "end of the MSI window");
	EXPECT(dma_map(&function, memory, PAGE, 1ull << 48, true) == -EINVAL, "aperture");
	EXPECT(dma_map(&function, memory, PAGE, OTHER_IOVA + 0x10800, true) == -EINVAL,
	       "alignment");
	EXPECT(dma_unmap(&function, OTHER_IOVA, 2 * PAGE) == 2 * PAGE, "unmap");
	EXPECT(dma_unmap(&function, OTHER_IOVA, 2 * PAGE) == 0, "unmap of a hole");
	munmap(memory, 2 * PAGE);
}

static void mailbox_both_ways(void)
{
	uint8_t *memory = pages(PAGE);
	uint32_t context[8];

	if (!restart())
		return;
	memset(memory, 0x5a, PAGE);
	zip_context(&zip, ZIP_COMPRESS, context);
	memcpy(memory, context, sizeof(context));
	EXPECT(dma_map(&function, memory, PAGE, OTHER_IOVA, true) == 0, "map");
	EXPECT(zip_load(&zip, OTHER_IOVA) == 0, "DMA read");
	EXPECT(zip_dump(&zip, OTHER_IOVA + 0x400) == 0, "DMA write");
	EXPECT(!memcmp(memory + 0x404, context + 1, 12),
	       "the function writes back the bytes that it read");
	EXPECT(all_bytes(memory + 0x400 + CONTEXT_SIZE, PAGE - 0x400 - CONTEXT_SIZE, 0x5a),
	       "and nothing else");

	EXPECT(dma_unmap(&function, OTHER_IOVA, PAGE) == PAGE, "unmap");
	memset(memory, 0x5a, PAGE);
	expect_unreachable(OTHER_IOVA, "after the unmap");
	EXPECT(all_bytes(memory, PAGE, 0x5a), "written after the unmap");
	munmap(memory, PAGE);
}

static void read_only(void)
{
	uint8_t *memory = pages(PAGE);
	uint32_t context[8];

	if (!restart())
		return;
	zip_context(&zip, ZIP_COMPRESS, context);
	memcpy(memory, context, sizeof(context));
	EXPECT(dma_map(&function, memory, PAGE, OTHER_IOVA, false) == 0, "map");
	EXPECT(zip_load(&zip, OTHER_IOVA) == 0, "DMA read");
	EXPECT(zip_dump(&zip, OTHER_IOVA + 0x400) == -EIO, "DMA write");
	EXPECT(all_bytes(memory + 0x400, CONTEXT_SIZE, 0), "nothing is written");
	EXPECT(dma_unmap(&function, OTHER_IOVA, PAGE) == PAGE, "unmap");
	munmap(memory, PAGE);
}

/* Map an IOVA to one page, then to another: the device must not use the old translation. */
static void remapped(void)
{
	uint8_t *memory = pages(2 * PAGE);

	if (!restart())
		return;
	EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "a context to dump");
	for (unsigned i = 0; i < 50; i++) {
		uint8_t *now = memory + i % 2 * PAGE, *other = memory + (i + 1) % 2 * PAGE;

		memset(memory, 0x5a, 2 * PAGE);
		EXPECT(dma_map(&function, now, PAGE, OTHER_IOVA, true) == 0, "map %u", i);
		EXPECT(zip_dump(&zip, OTHER_IOVA) == 0, "DMA write %u", i);
		EXPECT(dma_unmap(&function, OTHER_IOVA, PAGE) == PAGE, "unmap %u", i);
		EXPECT(!all_bytes(now, CONTEXT_SIZE, 0x5a), "round %u reaches its page", i);
		EXPECT(all_bytes(other, PAGE, 0x5a), "round %u reaches the other page", i);
	}
	munmap(memory, 2 * PAGE);
}

static bool inflates_to(const uint8_t *data, size_t length, const uint8_t *wanted, size_t size)
{
	z_stream stream = {.next_in = (Bytef *)data, .avail_in = length};
	uint8_t *out = malloc(size);
	bool same;

	if (!out || inflateInit2(&stream, -15) != Z_OK)
		abort();
	stream.next_out = out;
	stream.avail_out = size;
	same = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == size &&
	       !memcmp(out, wanted, size);
	inflateEnd(&stream);
	free(out);
	return same;
}

static void compression(void)
{
	const size_t size = 256 << 10, in = ZIP_MEMORY, out = in + size, back = out + size;
	int produced;

	if (!restart())
		return;
	for (size_t i = 0; i < size; i++)
		arena[in + i] = "abcdefghijklmnop"[(i * i >> 7) % 16];
	memset(arena + out, 0, 2 * size);
	EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "queue");
	produced = zip_run(&zip, ARENA_IOVA + in, size, ARENA_IOVA + out, size);
	if (!EXPECT(produced > 0 && (size_t)produced < size, "compress: %d", produced))
		return;
	EXPECT(inflates_to(arena + out, produced, arena + in, size), "zlib reads it");

	EXPECT(zip_queue(&zip, ZIP_DECOMPRESS) == 0, "queue");
	EXPECT(zip_run(&zip, ARENA_IOVA + out, produced, ARENA_IOVA + back, size) == (int)size,
	       "decompress");
	EXPECT(!memcmp(arena + back, arena + in, size), "the same");
	EXPECT(zip_run(&zip, OTHER_IOVA, produced, ARENA_IOVA + back, size) == -EIO,
	       "source that is not mapped");
	EXPECT(zip_run(&zip, ARENA_IOVA + out, produced, OTHER_IOVA, size) == -EIO,
	       "destination that is not mapped");
}

static void message(void)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	uint64_t count = 0;

	if (!restart())
		return;
	EXPECT(message_to(&function, fd) == 0, "MSI-X to an eventfd");
	EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "queue");
	EXPECT(poll(&wait, 1, 0) == 0, "an event before there is a reason");
	EXPECT(zip_run(&zip, ARENA_IOVA + ZIP_MEMORY, 4096, ARENA_IOVA + 2 * ZIP_MEMORY, 8192) > 0,
	       "request");
	EXPECT(poll(&wait, 1, TIMEOUT_MS) == 1, "no event");
	EXPECT(read(fd, &count, sizeof(count)) == sizeof(count) && count == 1, "%lu events",
	       (unsigned long)count);
	EXPECT(message_to(&function, -1) == 0, "disconnect");
	close(fd);
}

static void reset(void)
{
	if (!restart() || !EXPECT(zip_queue(&zip, ZIP_COMPRESS) == 0, "queue"))
		return;
	if (!restart())
		return;
	expect_unreachable(OTHER_IOVA, "after the reset");
	/* If addresses were physical ones, this would be memory of the kernel. */
	expect_unreachable(PAGE, "physical memory");
}

static void bus_reset(void)
{
	const int ret = function_hot_reset(&function);

	if (ret == -ENODEV || ret == -ENOTTY) {
		ktap_skip_case("no bridge above the function that can reset its bus");
		return;
	}
	EXPECT(ret == 0, "VFIO_DEVICE_PCI_HOT_RESET: %s", strerror(-ret));
	if (!EXPECT(zip_start(&zip, &registers, arena, ARENA_IOVA) == 0, "start of the device"))
		return;
	expect_unreachable(OTHER_IOVA, "after the reset");
	expect_unreachable(PAGE, "physical memory");
}

/* Vendor-specific capability of the machine's functions: routing at 0xc (machine/pci.rst). */
static void vendor_capability(void)
{
	const unsigned at = config_capability(&function, PCI_CAP_ID_VNDR);
	const uint32_t words[] = {0, 0x1ffff, 0xffff};
	uint32_t before = 0, after = 0;

	if (!EXPECT(at, "no vendor-specific capability") || !restart())
		return;
	EXPECT(config_read(&function, at + 0xc, 4, &before) == 0 && before & 1 << 16,
	       "routing %#x is not valid", before);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(config_write(&function, at + 0xc, 4, words[i]) == 0, "write");
		EXPECT(config_read(&function, at + 0xc, 4, &after) == 0 && after == before,
		       "%#x becomes %#x", before, after);
		expect_unreachable(OTHER_IOVA, "after a write to the capability");
	}
}

static const struct ktap_case cases[] = {
	{"container of type 1", container},
	{"IOVA ranges leave out the MSI window", iova_ranges},
	{"errors of MAP_DMA and UNMAP_DMA", map_errors},
	{"DMA both ways, and faults after UNMAP_DMA", mailbox_both_ways},
	{"mapping for reading", read_only},
	{"an IOVA that changes its page", remapped},
	{"compression and decompression", compression},
	{"MSI-X to an eventfd", message},
	{"reset does not lead around the IOMMU", reset},
	{"reset of the bus does not lead around the IOMMU", bus_reset},
	{"the vendor capability does not lead around the IOMMU", vendor_capability},
};

static int set_up(void)
{
	const char *host = getenv("WD_HOST");
	char address[ADDRESS_SIZE];
	int ret;

	if (host && !strcmp(host, "hosted"))
		return ktap_skip_all("native only: VFIO is the running kernel's");
	ret = function_find(address);
	if (ret == -ENODEV)
		return ktap_skip_all("no accelerator is bound to vfio-pci");
	if (!ret)
		ret = function_open(&function, address);
	if (ret)
		return ret;
	registers = function_registers(&function);
	arena = pages(ARENA_SIZE);
	ret = dma_map(&function, arena, ARENA_SIZE, ARENA_IOVA, true);
	if (ret)
		function_close(&function);
	return ret;
}

int main(void)
{
	KTAP_MAIN(cases, set_up(), function_close(&function));
}
