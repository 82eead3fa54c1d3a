// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bug.h>
#include <linux/limits.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>

namespace
{

void saturate(refcount_t *r, const char *what)
{
	refcount_set(r, REFCOUNT_SATURATED);
	WARN_ONCE(1, "refcount: %s", what);
}

} // namespace

bool refcount_add_not_zero(int i, refcount_t *r)
{
	int old = atomic_read(&r->refs);

	do {
		if (!old)
			return false;
	} while (!atomic_try_cmpxchg(
		&r->refs, &old,
		static_cast<int>(static_cast<unsigned>(old) + static_cast<unsigned>(i))));
	if (unlikely(old < 0 || static_cast<unsigned>(old) + static_cast<unsigned>(i) > INT_MAX))
		saturate(r, "overflow, leaking memory");
	return true;
}

bool refcount_inc_not_zero(refcount_t *r)
{
	return refcount_add_not_zero(1, r);
}

void refcount_add(int i, refcount_t *r)
{
	int old = __atomic_fetch_add(&r->refs.counter, i, __ATOMIC_RELAXED);

	if (unlikely(!old))
		saturate(r, "addition on 0, use after free");
	else if (unlikely(old < 0 ||
			  static_cast<unsigned>(old) + static_cast<unsigned>(i) > INT_MAX))
		saturate(r, "overflow, leaking memory");
}

void refcount_inc(refcount_t *r)
{
	refcount_add(1, r);
}

bool refcount_sub_and_test(int i, refcount_t *r)
{
	int old = __atomic_fetch_sub(&r->refs.counter, i, __ATOMIC_ACQ_REL);

	if (old == i)
		return true;
	if (unlikely(old < 0 || old - i < 0))
		saturate(r, "underflow, use after free");
	return false;
}

bool refcount_dec_and_test(refcount_t *r)
{
	return refcount_sub_and_test(1, r);
}

void refcount_dec(refcount_t *r)
{
	int old = __atomic_fetch_sub(&r->refs.counter, 1, __ATOMIC_RELEASE);

	if (unlikely(old <= 1))
		saturate(r, "decrement hit 0, leaking memory");
}
