/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue that works on tables of chain_space and causes page faults when asked to. Thread-bound.
 */
#ifndef SELFTESTS_HISI_QM_FAULT_LANE_H
#define SELFTESTS_HISI_QM_FAULT_LANE_H

#include "queue.h"

struct iommu_hwpt_pgfault;

/* Addresses in every table: input, output, and a hole. */
#define LANE_IN 0x10000000ul
#define LANE_OUT (LANE_IN + PAGE)
#define LANE_HOLE 0x20000000ul
#define LANE_SIZE (2 * PAGE)
#define LANE_TIMEOUT_MS 20000

/** A fault queue, and its file. */
struct faults {
	struct wd_host *host;
	uint32_t id;
	int fd;
};

/** Send a request with its output at @iova. */
void lane_send(struct queue *queue, uint64_t iova);
/** Wait for the oldest request. @return its status; ~0u after LANE_TIMEOUT_MS. */
unsigned lane_status(struct queue *queue);
/** True if a request writes to @memory, which is mapped at LANE_IN. */
bool lane_writes(struct queue *queue, uint8_t *memory);

/** True if a fault can be read within LANE_TIMEOUT_MS. */
bool faults_wait(const struct faults *faults);
bool faults_empty(const struct faults *faults);
/** Read one record. 0 or -errno; -ENODATA: no record. */
int faults_read(const struct faults *faults, struct iommu_hwpt_pgfault *record);
/** 0 or -errno. */
int faults_answer(const struct faults *faults, uint32_t cookie, uint32_t code);
/** True if a fault of @queue can be read from @faults, and a refusal ends the request. */
bool faults_work(const struct faults *faults, struct queue *queue);

#endif /* SELFTESTS_HISI_QM_FAULT_LANE_H */
