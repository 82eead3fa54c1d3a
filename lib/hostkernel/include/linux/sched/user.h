/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SCHED_USER_H
#define _LINUX_SCHED_USER_H

#include <linux/atomic.h>
#include <linux/refcount.h>
#include <linux/uidgid.h>

struct user_struct {
	refcount_t __count;
	kuid_t uid;
	atomic_long_t locked_vm;
	void *wd_next;
};

WD_BEGIN_DECLS
void free_uid(struct user_struct *user);
struct user_struct *find_user(kuid_t uid);
struct user_struct *alloc_uid(kuid_t uid);
WD_END_DECLS

static inline struct user_struct *get_uid(struct user_struct *user)
{
	refcount_inc(&user->__count);
	return user;
}

#endif /* _LINUX_SCHED_USER_H */
