// SPDX-License-Identifier: Apache-2.0
#include "fault_lane.h"

#include <errno.h>

#include <linux/iommufd.h>

void lane_send(struct queue *queue, uint64_t iova)
{
	const struct request request = {
		.algorithm = 1, .source = LANE_IN, .dest = iova, .length = PAGE, .space = PAGE};

	queue_send(queue, &request);
}

unsigned lane_status(struct queue *queue)
{
	struct result result;

	return queue_wait(queue, &result, LANE_TIMEOUT_MS) ? ~0u : result.status;
}

bool lane_writes(struct queue *queue, uint8_t *memory)
{
	memory[PAGE] = 0;
	lane_send(queue, LANE_OUT);
	return !lane_status(queue) && memory[PAGE];
}

static short readable(const struct faults *faults, int timeout_ms)
{
	struct pollfd poll = {.fd = faults->fd, .events = POLLIN};
	int ret = wd_host_poll(faults->host, &poll, 1, timeout_ms);

	/* In a chain of failures it may fail, once. */
	if (ret < 0)
		ret = wd_host_poll(faults->host, &poll, 1, timeout_ms);
	return ret == 1 ? poll.revents : 0;
}

bool faults_wait(const struct faults *faults)
{
	return readable(faults, LANE_TIMEOUT_MS) & POLLIN;
}

bool faults_empty(const struct faults *faults)
{
	return !readable(faults, 0);
}

int faults_read(const struct faults *faults, struct iommu_hwpt_pgfault *record)
{
	const ssize_t ret = wd_host_read(faults->host, faults->fd, record, sizeof(*record));

	if (ret < 0)
		return (int)ret;
	return ret == sizeof(*record) ? 0 : -ENODATA;
}

int faults_answer(const struct faults *faults, uint32_t cookie, uint32_t code)
{
	const struct iommu_hwpt_page_response response = {.cookie = cookie, .code = code};
	const ssize_t ret = wd_host_write(faults->host, faults->fd, &response, sizeof(response));

	if (ret < 0)
		return (int)ret;
	return ret == sizeof(response) ? 0 : -EIO;
}

bool faults_work(const struct faults *faults, struct queue *queue)
{
	struct iommu_hwpt_pgfault record;

	lane_send(queue, LANE_HOLE);
	if (!faults_wait(faults) || faults_read(faults, &record))
		return false;
	return record.addr / PAGE == LANE_HOLE / PAGE &&
	       !faults_answer(faults, record.cookie, IOMMUFD_PAGE_RESP_INVALID) &&
	       lane_status(queue) != 0;
}
