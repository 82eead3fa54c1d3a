// SPDX-License-Identifier: GPL-2.0-only
#include <linux/notifier.h>

int blocking_notifier_chain_register(struct blocking_notifier_head *nh, struct notifier_block *nb)
{
	int ret = 0;

	down_write(&nh->rwsem);
	auto **link = &nh->head;
	for (; *link && (*link)->priority >= nb->priority; link = &(*link)->next)
		if (*link == nb)
			ret = -EEXIST;
	if (!ret) {
		nb->next = *link;
		*link = nb;
	}
	up_write(&nh->rwsem);
	return ret;
}

int blocking_notifier_chain_unregister(struct blocking_notifier_head *nh, struct notifier_block *nb)
{
	int ret = -ENOENT;

	down_write(&nh->rwsem);
	for (auto **link = &nh->head; *link; link = &(*link)->next) {
		if (*link == nb) {
			*link = nb->next;
			ret = 0;
			break;
		}
	}
	up_write(&nh->rwsem);
	return ret;
}

int blocking_notifier_call_chain(struct blocking_notifier_head *nh, unsigned long action,
				 void *data)
{
	int ret = NOTIFY_DONE;

	if (!__atomic_load_n(&nh->head, __ATOMIC_RELAXED))
		return ret;
	down_read(&nh->rwsem);
	for (auto *nb = nh->head; nb; nb = nb->next) {
		ret = nb->notifier_call(nb, action, data);
		if (ret & NOTIFY_STOP_MASK)
			break;
	}
	up_read(&nh->rwsem);
	return ret;
}
