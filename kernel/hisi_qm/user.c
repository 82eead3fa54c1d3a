// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many queues of a device one user may have: all but a reserve for others, or the number that
 * root writes to attribute "queues_per_user". A process with CAP_SYS_RESOURCE may exceed it.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uidgid.h>

#include "queue.h"

/* The reserve is 1/16 of the queues. */
#define QM_USER_RESERVE 16

/**
 * struct qm_user - a user with queues
 * @node: in qm.users
 * @uid: the user that opened them
 * @queues: open files
 */
struct qm_user {
	struct list_head node;
	kuid_t uid;
	unsigned int queues;
};

/* Return: the number of queues for users; one queue is always the kernel's. */
static unsigned int qm_user_queues(const struct qm *qm)
{
	return qm->qp_num - 1;
}

/* Set the default limit. The number of queues is known. */
void qm_user_setup(struct qm *qm)
{
	unsigned int all = qm_user_queues(qm);

	qm->user_limit = max(all - DIV_ROUND_UP(all, QM_USER_RESERVE), 1u);
}

/* Allocate an entry for the calling user, for qm_user_charge(); free it if that fails. */
struct qm_user *qm_user_alloc(void)
{
	struct qm_user *user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);

	if (user)
		user->uid = current_uid();
	return user;
}

static struct qm_user *qm_user_find(struct qm *qm, kuid_t uid)
{
	struct qm_user *user;

	lockdep_assert_held(&qm->lock);
	list_for_each_entry (user, &qm->users, node)
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

/**
 * qm_user_charge() - count one more queue of a user
 * @qm: queue manager, locked
 * @user: in: from qm_user_alloc(); out: the user of the queue, for qm_user_uncharge()
 *
 * Return: 0; -EDQUOT if the user has too many queues, and @user is as before.
 */
int qm_user_charge(struct qm *qm, struct qm_user **user)
{
	struct qm_user *known = qm_user_find(qm, (*user)->uid);

	if (known && known->queues >= qm->user_limit && !capable(CAP_SYS_RESOURCE))
		return -EDQUOT;
	if (known) {
		kfree(*user);
		*user = known;
	} else {
		list_add(&(*user)->node, &qm->users);
	}
	(*user)->queues++;
	return 0;
}

/**
 * qm_user_uncharge() - undo qm_user_charge()
 * @qm: queue manager, locked
 * @user: as from qm_user_charge()
 */
void qm_user_uncharge(struct qm *qm, struct qm_user *user)
{
	lockdep_assert_held(&qm->lock);
	if (--user->queues)
		return;
	list_del(&user->node);
	kfree(user);
}

static ssize_t queues_per_user_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct qm *qm = container_of(dev, struct qm, dev);
	unsigned int limit;

	mutex_lock(&qm->lock);
	limit = qm->user_limit;
	mutex_unlock(&qm->lock);
	return sysfs_emit(buf, "%u\n", limit);
}

/* A user that has more queues than the new limit keeps them. */
static ssize_t queues_per_user_store(struct device *dev, struct device_attribute *attr,
				     const char *buf, size_t count)
{
	struct qm *qm = container_of(dev, struct qm, dev);
	unsigned int limit;
	int ret;

	ret = kstrtouint(buf, 0, &limit);
	if (ret)
		return ret;
	if (!limit || limit > qm_user_queues(qm))
		return -EINVAL;
	mutex_lock(&qm->lock);
	qm->user_limit = limit;
	mutex_unlock(&qm->lock);
	return count;
}
DEVICE_ATTR_RW(queues_per_user);
