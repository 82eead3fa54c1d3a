/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_POLL_H_HOSTED
#define _LINUX_POLL_H_HOSTED

#include <linux/fs.h>
#include <linux/types.h>
#include <linux/wait.h>

#ifndef EPOLLIN
#define EPOLLIN ((__poll_t)0x00000001)
#define EPOLLOUT ((__poll_t)0x00000004)
#define EPOLLERR ((__poll_t)0x00000008)
#define EPOLLHUP ((__poll_t)0x00000010)
#define EPOLLRDNORM ((__poll_t)0x00000040)
#endif

struct poll_table_struct;
typedef void (*poll_queue_proc)(struct file *filp, wait_queue_head_t *wq,
				struct poll_table_struct *pt);

typedef struct poll_table_struct {
	poll_queue_proc _qproc;
	__poll_t _key;
} poll_table;

static inline void init_poll_funcptr(poll_table *pt, poll_queue_proc qproc)
{
	pt->_qproc = qproc;
	pt->_key = ~(__poll_t)0;
}

static inline __poll_t key_to_poll(void *key)
{
	return (__poll_t)(uintptr_t)key;
}

/* @filp has a poll operation. */
static inline __poll_t vfs_poll(struct file *filp, poll_table *pt)
{
	return filp->f_op->poll(filp, pt);
}

static inline void poll_wait(struct file *filp, wait_queue_head_t *wq, poll_table *pt)
{
	if (pt && pt->_qproc && wq)
		pt->_qproc(filp, wq, pt);
}

#endif /* _LINUX_POLL_H_HOSTED */
