// SPDX-License-Identifier: Apache-2.0
#include "sva.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int sva_queue(struct device *device, struct queue *queue, unsigned type)
{
	int ret = queue_open(device, queue);

	if (!ret)
		ret = queue_map(queue);
	if (!ret)
		ret = queue_start(queue, type);
	return ret;
}

void text_fill(void *buffer, size_t length, unsigned seed)
{
	uint8_t *out = buffer;

	for (size_t i = 0; i < length; i++)
		out[i] = "warp and weft "[i % 14] + (seed + i / 4096) % 64;
}

int sva_request(struct queue *queue, const void *source, size_t length, void *dest, size_t space,
		struct result *result)
{
	const struct request request = {
		.algorithm = 1,
		.source = (uintptr_t)source,
		.dest = (uintptr_t)dest,
		.length = length,
		.space = space,
	};

	queue_send(queue, &request);
	return queue_wait(queue, result, 300000);
}

bool inflates_to(const void *in, size_t in_length, const void *out, size_t length)
{
	uint8_t *buffer = malloc(length + 1);
	z_stream stream = {.next_in = (void *)in,
			   .avail_in = in_length,
			   .next_out = buffer,
			   .avail_out = length + 1};
	bool same = false;

	if (inflateInit2(&stream, -15) == Z_OK) {
		same = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.total_out == length &&
		       !memcmp(buffer, out, length);
		inflateEnd(&stream);
	}
	free(buffer);
	return same;
}

int sva_bonds(struct device *device)
{
	static char names[4096], text[1 << 16];
	int count = 0;
	int ret = wd_host_sysfs_list(device->host, "/sys/class/iommu", names, sizeof(names));

	if (ret < 0)
		return ret;
	for (char *name = names, *end; *name; name = end + 1) {
		char path[256];

		end = name + strcspn(name, "\n");
		snprintf(path, sizeof(path), "/sys/class/iommu/%.*s/attachments", (int)(end - name),
			 name);
		if (wd_host_sysfs_read(device->host, path, text, sizeof(text)) >= 0)
			for (char *at = text; (at = strstr(at, "type=sva ")); at++)
				count++;
		if (!*end)
			break;
	}
	return count;
}
