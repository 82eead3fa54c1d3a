// SPDX-License-Identifier: Apache-2.0
#include "reach.h"

#include <string.h>
#include <zlib.h>

#include <linux/iommufd.h>

#include "sva.h"

#define OUTPUT (REACH_PAGES - 1)

static int reach_begin(struct device *device, uint32_t hwpt_flags, struct reach *reach)
{
	int ret;

	reach->space.hwpt_flags = hwpt_flags;
	reach->memory = pages_alloc(REACH_PAGES * PAGE);
	ret = space_map(&reach->space, reach->memory, REACH_PAGES * PAGE, REACH_IOVA);
	if (!ret)
		ret = queue_ready(device, &reach->space, &reach->queue, COMPRESS);
	if (ret)
		pages_free(reach->memory, REACH_PAGES * PAGE);
	return ret;
}

int reach_open(struct device *device, uint32_t hwpt_flags, struct reach *reach)
{
	int ret = space_open(device, &reach->space);

	if (ret)
		return ret;
	ret = reach_begin(device, hwpt_flags, reach);
	if (ret)
		space_close(&reach->space);
	return ret;
}

int reach_beside(const struct reach *first, uint32_t hwpt_flags, struct reach *reach)
{
	const int ret = space_second(&first->space, &reach->space);

	return ret ? ret : reach_begin(first->space.device, hwpt_flags, reach);
}

/* The first space of a context closes it. */
void reach_close(struct reach *reach)
{
	queue_close(&reach->queue);
	pages_free(reach->memory, REACH_PAGES * PAGE);
}

/* Raw deflate. @return whether it was one page */
static bool inflate_page(const uint8_t *in, size_t length, uint8_t page[PAGE])
{
	z_stream stream = {
		.next_in = (uint8_t *)in, .avail_in = length, .next_out = page, .avail_out = PAGE};
	bool whole;

	if (inflateInit2(&stream, -15) != Z_OK)
		return false;
	whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == PAGE;
	inflateEnd(&stream);
	return whole;
}

/* Compress one page. @return bytes of output, or 0 */
static size_t compress_page(struct reach *reach, uint64_t source, uint64_t dest, uint32_t space)
{
	const struct request request = {
		.algorithm = 1, .source = source, .dest = dest, .length = PAGE, .space = space};
	struct result result = {0};

	queue_send(&reach->queue, &request);
	if (queue_wait(&reach->queue, &result, 300000))
		return 0;
	/* 0x0d: the input ends, which is no error here. */
	return result.status == 0 || result.status == 0x0d ? result.produced : 0;
}

bool device_page(struct reach *reach, uint64_t iova, uint8_t page[PAGE])
{
	const size_t size = compress_page(reach, iova, REACH_IOVA + PAGE, OUTPUT * PAGE);

	return size && inflate_page(reach->memory + PAGE, size, page);
}

bool device_reads(struct reach *reach, uint64_t iova, const void *wanted)
{
	uint8_t page[PAGE];

	return device_page(reach, iova, page) && !memcmp(page, wanted, PAGE);
}

bool device_writes(struct reach *reach, uint64_t iova, unsigned seed)
{
	text_fill(reach->memory, PAGE, seed);
	return compress_page(reach, REACH_IOVA, iova, PAGE);
}

bool page_is_written(const uint8_t *page, unsigned seed)
{
	uint8_t text[PAGE], found[PAGE];

	text_fill(text, PAGE, seed);
	return inflate_page(page, PAGE, found) && !memcmp(found, text, PAGE);
}
