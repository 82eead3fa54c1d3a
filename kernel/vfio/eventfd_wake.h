/* SPDX-License-Identifier: GPL-2.0-only */
/* A program signals an event counter (eventfd), and the driver acts. */
#ifndef _WD_VFIO_EVENTFD_WAKE_H
#define _WD_VFIO_EVENTFD_WAKE_H

#include <linux/types.h>

struct wd_vfio_wake;

/**
 * struct wd_vfio_wake_ops - what to do after a signal
 * @wake: runs in atomic context, maybe on two threads at once. Return: true to let @thread run
 * @thread: may sleep; never runs twice at once. May be NULL if @wake never returns true
 */
struct wd_vfio_wake_ops {
	bool (*wake)(void *data);
	void (*thread)(void *data);
};

struct wd_vfio_wake *wd_vfio_wake_create(int fd, const struct wd_vfio_wake_ops *ops, void *data);
bool wd_vfio_wake_ended(const struct wd_vfio_wake *wake);
void wd_vfio_wake_destroy(struct wd_vfio_wake *wake);

#endif /* _WD_VFIO_EVENTFD_WAKE_H */
