// SPDX-License-Identifier: GPL-2.0-only
#include "rcu_grace.h"

/* The kernel headers make rcu_head a macro, and liburcu has a struct of that name. */
#include <linux/types.h>
#undef rcu_head

#include <pthread.h>
#include <urcu/urcu-bp.h>

namespace wd::hostkernel
{

void graceReadLock()
{
	urcu_bp_read_lock();
}

void graceReadUnlock()
{
	urcu_bp_read_unlock();
}

void graceWait()
{
	urcu_bp_synchronize_rcu();
}

void graceWatchForks()
{
	pthread_atfork(urcu_bp_before_fork, urcu_bp_after_fork_parent, urcu_bp_after_fork_child);
}

} // namespace wd::hostkernel
