/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_CRED_H
#define _LINUX_CRED_H

#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/sched/user.h>
#include <linux/uidgid.h>

struct cred {
	atomic_t usage;
	kuid_t uid;
	kuid_t euid;
	kuid_t fsuid;
	kgid_t gid;
	kgid_t egid;
	struct user_struct *user;
	u64 cap_effective;
};

WD_BEGIN_DECLS
void __put_cred(struct cred *cred);
WD_END_DECLS

#define current_cred() ((const struct cred *)get_current()->cred)
#define current_uid() (get_current()->cred->uid)
#define get_current_cred() get_cred(current_cred())

static inline const struct cred *get_cred(const struct cred *cred)
{
	atomic_inc(&((struct cred *)cred)->usage);
	return cred;
}

static inline void put_cred(const struct cred *cred)
{
	if (cred && atomic_dec_and_test(&((struct cred *)cred)->usage))
		__put_cred((struct cred *)cred);
}

#endif /* _LINUX_CRED_H */
