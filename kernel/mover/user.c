// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many queues one user may have, since each has kernel threads. A process with CAP_SYS_RESOURCE
 * may exceed it.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "mover.h"

/**
 * struct mover_user - a user with queues
 * @node: in mover_users
 * @uid: the user that opened them
 * @queues: open files, and queues that are still being destroyed
 */
struct mover_user {
	struct list_head node;
	kuid_t uid;
	unsigned int queues;
};

static LIST_HEAD(mover_users);
static DEFINE_MUTEX(mover_users_lock);

static unsigned int queues_per_user = 16;
module_param(queues_per_user, uint, 0644);
MODULE_PARM_DESC(queues_per_user, "Most open queues of one user (default 16)");

static struct mover_user *mover_user_find(kuid_t uid)
{
	struct mover_user *user;

	lockdep_assert_held(&mover_users_lock);
	list_for_each_entry (user, &mover_users, node)
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

/* Count one more queue of @fresh->uid. Return: the user, which may be @fresh. */
static struct mover_user *mover_user_count(struct mover_user *fresh)
{
	struct mover_user *user = mover_user_find(fresh->uid);

	if (user && user->queues >= READ_ONCE(queues_per_user) && !capable(CAP_SYS_RESOURCE))
		return ERR_PTR(-EDQUOT);
	if (!user) {
		user = fresh;
		list_add(&user->node, &mover_users);
	}
	user->queues++;
	return user;
}

/**
 * mover_user_charge() - count one more queue of the calling user
 *
 * A user may have one queue in any case.
 *
 * Return: the user, for mover_user_uncharge(); ERR_PTR(-ENOMEM), or ERR_PTR(-EDQUOT) too many queues
 */
struct mover_user *mover_user_charge(void)
{
	struct mover_user *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT), *user;

	if (!fresh)
		return ERR_PTR(-ENOMEM);
	fresh->uid = current_uid();
	mutex_lock(&mover_users_lock);
	user = mover_user_count(fresh);
	mutex_unlock(&mover_users_lock);
	if (user != fresh)
		kfree(fresh);
	return user;
}

void mover_user_uncharge(struct mover_user *user)
{
	mutex_lock(&mover_users_lock);
	if (--user->queues) {
		user = NULL;
	} else {
		list_del(&user->node);
	}
	mutex_unlock(&mover_users_lock);
	kfree(user);
}
