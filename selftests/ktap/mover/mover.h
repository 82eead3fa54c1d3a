/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of the data mover as a program has it: the file, the control page, the rings. */
#ifndef SELFTESTS_MOVER_MOVER_H
#define SELFTESTS_MOVER_MOVER_H

#include <misc/uacce/mover.h>
#include <misc/uacce/uacce.h>

#include "../iommufd/context.h"

#define MOVER_DEPTH 16u

/**
 * struct mover - a queue
 * @fd: the file
 * @control: its control page
 * @rings: memory of both rings: a page each
 * @tail: descriptors submitted
 * @head: completions read
 * @kicks: calls of WD_MOVER_CMD_KICK
 */
struct mover {
	int fd;
	struct wd_mover_control *control;
	unsigned char *rings;
	uint32_t tail;
	uint32_t head;
	unsigned int kicks;
};

/** Open a queue and bind it to @context. 0 or -errno; -ENODEV: there is no mover. */
int mover_open(struct mover *mover, const struct context *context);
void mover_close(struct mover *mover);
int mover_ioctl(const struct mover *mover, unsigned long request, void *argument);
int mover_attach(const struct mover *mover, uint32_t ioas);
/** Clear the rings, map them at @iova of @ioas, attach, and start. */
int mover_start(struct mover *mover, const struct context *context, uint64_t iova);
/** Set the rings, which are mapped, begin at index 0, and start. */
int mover_restart(struct mover *mover, uint64_t iova);

void mover_submit(struct mover *mover, const struct wd_mover_desc *desc);
/** Wait for the next completion. status is 0xffff if the queue stops meanwhile. */
struct wd_mover_completion mover_wait(struct mover *mover);
struct wd_mover_completion mover_run(struct mover *mover, const struct wd_mover_desc *desc);

#endif /* SELFTESTS_MOVER_MOVER_H */
