// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accounts: which process pays for pinned memory (IOMMUFD-PIN-1).
 *
 * A page that is pinned counts in mm->pinned_vm, which has no limit, and depending on the account
 * mode as locked memory of the user or of the process, which RLIMIT_MEMLOCK of the process limits.
 *
 * mm->locked_vm changes under the mmap lock of the process. A program can make its pages come late
 * or never, and a thread that waits for such a page may hold that lock. So a caller that gives pages
 * back does not wait for it: it adds them to iopt_account.due, and a work item takes them off later.
 * A caller that charges waits for the lock and settles first (IOMMUFD-PIN-4).
 */
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "io_pagetable.h"

/* How long the work waits before it tries again to get the mmap locks. */
#define IOPT_SETTLE_DELAY (HZ / 10)

static void iopt_settle_work(struct work_struct *work);

/* Accounts whose @due the work takes off: iopt_account.owing_item, each is held. */
static LIST_HEAD(iopt_owing);
static DEFINE_SPINLOCK(iopt_owing_lock);
static DECLARE_DELAYED_WORK(iopt_settle, iopt_settle_work);

/* Take off what the account owes. The caller holds the mmap lock for writing. */
static void iopt_settle_locked(struct iopt_account *account)
{
	struct mm_struct *mm = account->mm;
	unsigned long due = atomic_long_xchg(&account->due, 0);

	WARN_ON(mm->locked_vm < due);
	mm->locked_vm -= due;
}

static bool iopt_settle_trylock(struct iopt_account *account)
{
	if (!mmap_write_trylock(account->mm))
		return false;
	iopt_settle_locked(account);
	mmap_write_unlock(account->mm);
	return true;
}

/* Let the work settle an account later. */
static void iopt_settle_later(struct iopt_account *account)
{
	spin_lock(&iopt_owing_lock);
	if (list_empty(&account->owing_item))
		list_add_tail(&iopt_account_get(account)->owing_item, &iopt_owing);
	spin_unlock(&iopt_owing_lock);
	queue_delayed_work(system_unbound_wq, &iopt_settle, IOPT_SETTLE_DELAY);
}

/* Take the first account out of a list. Return: the account, held, or NULL */
static struct iopt_account *iopt_settle_pop(struct list_head *list)
{
	struct iopt_account *account;

	spin_lock(&iopt_owing_lock);
	account = list_first_entry_or_null(list, struct iopt_account, owing_item);
	if (account)
		list_del_init(&account->owing_item);
	spin_unlock(&iopt_owing_lock);
	return account;
}

static void iopt_settle_work(struct work_struct *work)
{
	struct iopt_account *account;
	LIST_HEAD(now);

	spin_lock(&iopt_owing_lock);
	list_splice_init(&iopt_owing, &now);
	spin_unlock(&iopt_owing_lock);
	while ((account = iopt_settle_pop(&now))) {
		if (!iopt_settle_trylock(account))
			iopt_settle_later(account);
		iopt_account_put(account);
		cond_resched();
	}
}

/**
 * iopt_account_exit() - settle all accounts
 *
 * Nobody uses any of them any more. This may wait for an mmap lock, but not if the caller, who
 * removes the module, is being killed.
 */
void iopt_account_exit(void)
{
	struct iopt_account *account;

	cancel_delayed_work_sync(&iopt_settle);
	while ((account = iopt_settle_pop(&iopt_owing))) {
		if (mmap_write_lock_killable(account->mm)) {
			pr_warn("iommufd: a process keeps %ld pages too many as locked memory\n",
				atomic_long_xchg(&account->due, 0));
		} else {
			iopt_settle_locked(account);
			mmap_write_unlock(account->mm);
		}
		iopt_account_put(account);
	}
}

/**
 * iopt_account_alloc() - make an account of the calling process
 *
 * Return: the account with one reference, or NULL without memory
 */
struct iopt_account *iopt_account_alloc(void)
{
	struct iopt_account *account = kzalloc(sizeof(*account), GFP_KERNEL_ACCOUNT);

	if (!account)
		return NULL;
	kref_init(&account->ref);
	account->mm = current->mm;
	mmgrab(account->mm);
	account->cred = get_current_cred();
	account->task = get_task_struct(current->group_leader);
	INIT_LIST_HEAD(&account->change_item);
	INIT_LIST_HEAD(&account->owing_item);
	return account;
}

static void iopt_account_release(struct kref *ref)
{
	struct iopt_account *account = container_of(ref, struct iopt_account, ref);

	WARN_ON(!list_empty(&account->change_item));
	WARN_ON(!list_empty(&account->owing_item));
	WARN_ON(atomic_long_read(&account->due));
	put_task_struct(account->task);
	put_cred(account->cred);
	mmdrop(account->mm);
	kfree(account);
}

struct iopt_account *iopt_account_get(struct iopt_account *account)
{
	kref_get(&account->ref);
	return account;
}

void iopt_account_put(struct iopt_account *account)
{
	kref_put(&account->ref, iopt_account_release);
}

/* Is this an account of the calling process, for its current user? */
bool iopt_account_is_current(const struct iopt_account *account)
{
	return account->mm == current->mm && account->task == current->group_leader &&
	       account->cred->user == current_cred()->user;
}

/* Does a page that moves from one account to the other count against the same limit as before? */
bool iopt_account_same_limit(const struct iopt_account *one, const struct iopt_account *other,
			     enum iopt_account_mode mode)
{
	switch (mode) {
	case IOPT_ACCOUNT_USER:
		return one->cred->user == other->cred->user;
	case IOPT_ACCOUNT_MM:
		return one->mm == other->mm;
	default:
		return true;
	}
}

/* The current limit of the process, in pages, and at most what the counters can hold. */
static unsigned long iopt_lock_limit(const struct iopt_account *account)
{
	return min_t(unsigned long, task_rlimit(account->task, RLIMIT_MEMLOCK), LONG_MAX) >>
	       PAGE_SHIFT;
}

static int iopt_charge_user(struct iopt_account *account, unsigned long npages)
{
	const long limit = iopt_lock_limit(account);
	atomic_long_t *locked = &account->cred->user->locked_vm;
	long old, new;

	do {
		old = atomic_long_read(locked);
		new = old + npages;
		if (new > limit)
			return -ENOMEM;
	} while (atomic_long_cmpxchg(locked, old, new) != old);
	return 0;
}

static int iopt_charge_mm(struct iopt_account *account, unsigned long npages)
{
	struct mm_struct *mm = account->mm;
	int rc = 0;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	iopt_settle_locked(account);
	if (mm->locked_vm + npages > iopt_lock_limit(account))
		rc = -ENOMEM;
	else
		mm->locked_vm += npages;
	mmap_write_unlock(mm);
	return rc;
}

/**
 * iopt_charge_locked() - count pages as locked memory
 * @account: account
 * @mode: whose locked memory; with IOPT_ACCOUNT_NONE this does nothing
 * @npages: number of pages
 *
 * This may wait for the mmap lock of the account's process.
 *
 * Return: 0; -ENOMEM above the limit, -EINTR the caller is being killed
 */
int iopt_charge_locked(struct iopt_account *account, enum iopt_account_mode mode,
		       unsigned long npages)
{
	if (mode == IOPT_ACCOUNT_USER)
		return iopt_charge_user(account, npages);
	if (mode == IOPT_ACCOUNT_MM)
		return iopt_charge_mm(account, npages);
	return 0;
}

static void iopt_uncharge_mm(struct iopt_account *account, unsigned long npages)
{
	atomic_long_add(npages, &account->due);
	if (!iopt_settle_trylock(account))
		iopt_settle_later(account);
}

/* Undo iopt_charge_locked(). This waits for nothing. */
void iopt_uncharge_locked(struct iopt_account *account, enum iopt_account_mode mode,
			  unsigned long npages)
{
	if (mode == IOPT_ACCOUNT_USER)
		atomic_long_sub(npages, &account->cred->user->locked_vm);
	else if (mode == IOPT_ACCOUNT_MM)
		iopt_uncharge_mm(account, npages);
}

/* As iopt_charge_locked(), and count the pages as pinned. */
int iopt_charge(struct iopt_account *account, enum iopt_account_mode mode, unsigned long npages)
{
	int rc = iopt_charge_locked(account, mode, npages);

	if (!rc)
		atomic64_add(npages, &account->mm->pinned_vm);
	return rc;
}

/* Undo iopt_charge(). */
void iopt_uncharge(struct iopt_account *account, enum iopt_account_mode mode, unsigned long npages)
{
	if (!npages)
		return;
	atomic64_sub(npages, &account->mm->pinned_vm);
	iopt_uncharge_locked(account, mode, npages);
}
