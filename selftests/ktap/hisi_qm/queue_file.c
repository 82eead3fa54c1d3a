// SPDX-License-Identifier: Apache-2.0
/* Queues whose address space is memory of files (IOAS_MAP_FILE): the device works on the file. */
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "../../common/ktap.h"
#include "queue.h"

/* More than the kernel pins in one step, and not a multiple of it. */
#define SIZE (1300 * PAGE)
#define IOVA 0x40000000ul
#define LENGTH (4 * PAGE)

static struct device device;

/** A queue with a memfd of SIZE bytes at IOVA. */
struct lane {
	struct space space;
	struct queue queue;
	int memfd;
	uint8_t *memory; /**< the process's own mapping of the file */
};

static int map_file(struct space *space, int memfd, uint64_t start, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = space->ioas,
		.fd = wd_host_import_file(device.host, memfd),
		.start = start,
		.length = length,
		.iova = iova,
	};
	const int ret = wd_host_ioctl(device.host, space->fd, IOMMU_IOAS_MAP_FILE, &map);

	/* The mapping holds the file. */
	wd_host_dev_close(device.host, map.fd);
	return ret;
}

static int lane_open(struct lane *lane)
{
	int ret = space_open(&device, &lane->space);

	if (ret)
		return ret;
	lane->memfd = memfd_create("queue_file", MFD_CLOEXEC);
	if (lane->memfd < 0 || ftruncate(lane->memfd, SIZE))
		return -errno;
	lane->memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, lane->memfd, 0);
	for (size_t i = 0; i < SIZE; i++)
		lane->memory[i] = "warp and weft "[i % 14] + (i / PAGE);
	ret = map_file(&lane->space, lane->memfd, 0, SIZE, IOVA);
	if (!ret)
		ret = queue_ready(&device, &lane->space, &lane->queue, COMPRESS);
	return ret;
}

static void lane_close(struct lane *lane)
{
	queue_close(&lane->queue);
	space_close(&lane->space);
	munmap(lane->memory, SIZE);
	close(lane->memfd);
}

static int request(struct queue *queue, uint64_t source, uint32_t length, uint64_t dest,
		   struct result *result)
{
	const struct request request = {
		.algorithm = 1,
		.source = source,
		.dest = dest,
		.length = length,
		.space = LENGTH,
	};

	queue_send(queue, &request);
	return queue_wait(queue, result, 10000);
}

/* Compress from @from to @to in the file, and back to @back; all three are offsets. */
static void round_trip(struct lane *lane, uint64_t from, uint64_t to, uint64_t back)
{
	struct result result = {0};
	uint8_t expected[LENGTH];

	memcpy(expected, lane->memory + from, LENGTH);
	EXPECT(!request(&lane->queue, IOVA + from, LENGTH, IOVA + to, &result), "compress");
	EXPECT(!result.status && result.produced < LENGTH / 2, "status %#x, %u bytes",
	       result.status, result.produced);
	EXPECT(!queue_stop(&lane->queue), "stop");
	EXPECT(!queue_start(&lane->queue, DECOMPRESS), "start as a decompressor");
	memset(lane->memory + back, 0, LENGTH);
	EXPECT(!request(&lane->queue, IOVA + to, result.produced, IOVA + back, &result), "back");
	EXPECT(!result.status && result.produced == LENGTH, "status %#x", result.status);
	EXPECT(!memcmp(lane->memory + back, expected, LENGTH), "in the memory of the file");
}

static void both_ends(void)
{
	struct lane lane;

	EXPECT(!lane_open(&lane), "queue");
	round_trip(&lane, 0, 512 * PAGE - 2 * PAGE, SIZE - LENGTH);
	lane_close(&lane);
}

/* The device reads the bytes that the file has now, also those that another mapping wrote. */
static void no_mapping_of_the_process(void)
{
	struct lane lane;

	EXPECT(!lane_open(&lane), "queue");
	munmap(lane.memory, SIZE);
	lane.memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, lane.memfd, 0);
	memset(lane.memory, 0x33, LENGTH);
	round_trip(&lane, 0, 8 * PAGE, 16 * PAGE);
	lane_close(&lane);
}

static void after_unmap(void)
{
	struct result result = {0};
	struct lane lane;

	EXPECT(!lane_open(&lane), "queue");
	EXPECT(!space_unmap(&lane.space, IOVA, SIZE), "unmap");
	memset(lane.memory + 8 * PAGE, 0x55, LENGTH);
	EXPECT(!request(&lane.queue, IOVA, LENGTH, IOVA + 8 * PAGE, &result), "a request");
	EXPECT(result.status, "reaches nothing");
	EXPECT(lane.memory[8 * PAGE] == 0x55, "the file is as it was");
	memset(lane.memory + 16 * PAGE, 0, LENGTH);
	EXPECT(!map_file(&lane.space, lane.memfd, 8 * PAGE, 64 * PAGE, IOVA), "another part");
	EXPECT(!request(&lane.queue, IOVA, LENGTH, IOVA + 8 * PAGE, &result), "a request");
	EXPECT(!result.status, "status %#x", result.status);
	EXPECT(lane.memory[16 * PAGE], "output at its place in the file");
	lane_close(&lane);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"from end to end of a file", both_ends},
		{"without a mapping of the process", no_mapping_of_the_process},
		{"unmap, and map another part", after_unmap},
	};

	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
