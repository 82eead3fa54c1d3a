// SPDX-License-Identifier: Apache-2.0
/*
 * Which pages does an accelerator write? That is what the migration of a running virtual machine
 * needs: it copies the memory while devices work, and then again what they have written meanwhile.
 */
#include <stdlib.h>

#include <linux/iommufd.h>

#include "../../common/ktap.h"
#include "queue.h"

#define IOVA 0x40000000ul
#define PAGES 256u
#define SOURCE 4u /* pages */
/* Where the output of a request may be, after its source. */
#define FIRST 8u
#define SPACE 2u /* pages */

static struct device device;

struct lane {
	struct space space;
	struct queue queue;
	uint8_t *memory;
};

static int command(struct lane *lane, unsigned long request, void *argument)
{
	return wd_host_ioctl(device.host, lane->space.fd, request, argument);
}

/* Without huge pages, so that each bit stands for 4 KiB. */
static int lane_open(struct lane *lane)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
	};
	int ret = space_open(&device, &lane->space);

	if (ret)
		return ret;
	lane->space.hwpt_flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	option.object_id = lane->space.ioas;
	ret = command(lane, IOMMU_OPTION, &option);
	lane->memory = pages_alloc(PAGES * PAGE);
	for (size_t i = 0; i < SOURCE * PAGE; i++)
		lane->memory[i] = "warp and weft "[i % 14] + (i / 1000);
	if (!ret)
		ret = space_map(&lane->space, lane->memory, PAGES * PAGE, IOVA);
	if (!ret)
		ret = queue_ready(&device, &lane->space, &lane->queue, COMPRESS);
	return ret;
}

static void lane_close(struct lane *lane)
{
	queue_close(&lane->queue);
	space_close(&lane->space);
	pages_free(lane->memory, PAGES * PAGE);
}

static int track(struct lane *lane)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
		.hwpt_id = lane->space.hwpt,
	};

	return command(lane, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

/* Read and clear. @return the number of dirty pages, or -errno */
static int dirty_pages(struct lane *lane, uint8_t bitmap[PAGES / 8])
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = lane->space.hwpt,
		.iova = IOVA,
		.length = PAGES * PAGE,
		.page_size = PAGE,
		.data = (uintptr_t)bitmap,
	};
	int ret, count = 0;

	memset(bitmap, 0, PAGES / 8);
	ret = command(lane, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
	for (unsigned page = 0; page < PAGES; page++)
		count += bitmap[page / 8] >> page % 8 & 1;
	return ret ? ret : count;
}

static void send(struct lane *lane, unsigned page)
{
	const struct request request = {
		.algorithm = 1,
		.source = IOVA,
		.dest = IOVA + page * PAGE,
		.length = SOURCE * PAGE,
		.space = SPACE * PAGE,
	};

	queue_send(&lane->queue, &request);
}

static bool done(struct lane *lane)
{
	struct result result = {0};

	return !queue_wait(&lane->queue, &result, 10000) && !result.status;
}

/* IOMMUFD-DIRTY-3 */
static void only_what_is_written(void)
{
	uint8_t bitmap[PAGES / 8];
	struct lane lane;

	EXPECT(!lane_open(&lane), "queue");
	EXPECT(!track(&lane), "tracking on");
	EXPECT(dirty_pages(&lane, bitmap) == 0, "nothing yet");
	send(&lane, 100);
	EXPECT(done(&lane), "a request");
	EXPECT(dirty_pages(&lane, bitmap) == 1, "one page");
	EXPECT(bitmap[100 / 8] == 1 << 100 % 8, "that of the output");
	EXPECT(dirty_pages(&lane, bitmap) == 0, "told once");
	send(&lane, 100);
	send(&lane, 202);
	EXPECT(done(&lane) && done(&lane), "two requests");
	EXPECT(dirty_pages(&lane, bitmap) == 2, "two pages, one of them again");
	EXPECT(bitmap[100 / 8] == 1 << 100 % 8 && bitmap[202 / 8] == 1 << 202 % 8, "outputs");
	lane_close(&lane);
}

static void copy_dirty(struct lane *lane, uint8_t *copy, unsigned *copied)
{
	uint8_t bitmap[PAGES / 8];

	EXPECT(dirty_pages(lane, bitmap) >= 0, "bitmap");
	for (unsigned page = 0; page < PAGES; page++)
		if (bitmap[page / 8] >> page % 8 & 1) {
			memcpy(copy + page * PAGE, lane->memory + page * PAGE, PAGE);
			++*copied;
		}
}

/* Copy all, then again and again what was written since; at last with the queue at rest. */
static void migration(void)
{
	const unsigned rounds = 200;
	uint8_t *copy = pages_alloc(PAGES * PAGE);
	unsigned copied = 0;
	struct lane lane;

	EXPECT(!lane_open(&lane), "queue");
	EXPECT(!track(&lane), "tracking on");
	memcpy(copy, lane.memory, PAGES * PAGE);
	for (unsigned round = 0; round < rounds; round++) {
		lane.memory[round % 64] ^= round;
		send(&lane, FIRST + round * 7 % (PAGES - FIRST - SPACE));
		copy_dirty(&lane, copy, &copied);
		EXPECT(done(&lane), "request %u", round);
	}
	EXPECT(!queue_stop(&lane.queue), "stop");
	copy_dirty(&lane, copy, &copied);
	EXPECT(copied >= (PAGES - FIRST - SPACE) / 2, "%u pages", copied);
	EXPECT(!memcmp(copy + FIRST * PAGE, lane.memory + FIRST * PAGE, (PAGES - FIRST) * PAGE),
	       "the copy has all that the device has written");
	lane_close(&lane);
	pages_free(copy, PAGES * PAGE);
}

int main(void)
{
	static const struct ktap_case cases[] = {
		{"only pages that are written", only_what_is_written},
		{"copy memory while it is written", migration},
	};

	KTAP_MAIN(cases, device_open(&device), device_close(&device));
}
