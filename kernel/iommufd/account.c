// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accounts: which process pays for pinned memory (IOMMUFD-PIN-1).
 *
 * A page that is pinned counts in mm->pinned_vm, which has no limit, and depending on the account
 * mode as locked memory of the user or of the process, which RLIMIT_MEMLOCK of the process limits.
 */
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "io_pagetable.h"

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
	return account;
}

static void iopt_account_release(struct kref *ref)
{
	struct iopt_account *account = container_of(ref, struct iopt_account, ref);

	WARN_ON(!list_empty(&account->change_item));
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

/* Undo iopt_charge_locked(). */
void iopt_uncharge_locked(struct iopt_account *account, enum iopt_account_mode mode,
			  unsigned long npages)
{
	struct mm_struct *mm = account->mm;

	if (mode == IOPT_ACCOUNT_USER) {
		atomic_long_sub(npages, &account->cred->user->locked_vm);
	} else if (mode == IOPT_ACCOUNT_MM) {
		mmap_write_lock(mm);
		WARN_ON(mm->locked_vm < npages);
		mm->locked_vm -= npages;
		mmap_write_unlock(mm);
	}
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
