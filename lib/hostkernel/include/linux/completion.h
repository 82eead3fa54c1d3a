/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_COMPLETION_H
#define _LINUX_COMPLETION_H

#include <linux/spinlock.h>

struct completion {
	unsigned int done;
	struct wd_host_mutex host;
	struct wd_host_cond cond;
};

/* clang-format off */
#define COMPLETION_INITIALIZER(work) { 0, { { 0 } }, { { 0 } } }
/* clang-format on */

WD_BEGIN_DECLS
void init_completion(struct completion *x);
void reinit_completion(struct completion *x);
void complete(struct completion *x);
void wait_for_completion(struct completion *x);
unsigned long wait_for_completion_timeout(struct completion *x, unsigned long timeout);
WD_END_DECLS

#endif /* _LINUX_COMPLETION_H */
