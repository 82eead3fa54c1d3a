/* SPDX-License-Identifier: GPL-2.0-only */
/* State of each thread, and the counters and hooks that several facilities share. */
#pragma once

#include <cstdint>
#include <functional>
#include <pthread.h>

#include <linux/sched.h>
#include <linux/spinlock.h>

#include "hostkernel/kernel.h"

namespace wd::hostkernel
{

/** A mutex or rw semaphore that the thread has. */
struct HeldLock {
	const void *lock;
	const char *name; /**< of its class, or null */
};

struct ThreadState {
	int atomicDepth = 0; /**< spinlocks held, interrupts or preemption off */
	int rcuDepth = 0;
	bool onBehalf = false;	/**< inside a system call of a caller: faults may be injected */
	unsigned userDepth = 0; /**< nested user scopes (freezer.h) of the thread */
	const std::function<void()> *onAllocation = nullptr; /**< class AllocationHook */
	task_struct *task = nullptr;
	unsigned heldCount = 0;
	unsigned heldBefore = 0; /**< of @held: taken before the system call that runs now */
	HeldLock held[16] = {};	 /**< in the order taken; further ones are not known */
};

/**
 * WARN if the thread is about to touch user memory, which may wait for ever, with a lock that
 * others need: any but locks of a class named WD_LOCK_PRIVATE.
 * @param exclude a lock that may not be held even so, or null
 */
void warnIfLocked(const void *exclude);

inline constinit thread_local ThreadState threadState;

/** Identity of the calling thread, for lock owners. */
inline const void *self()
{
	return &threadState;
}

inline pthread_mutex_t *native(wd_host_mutex *mutex)
{
	static_assert(sizeof(pthread_mutex_t) <= sizeof(wd_host_mutex));
	return reinterpret_cast<pthread_mutex_t *>(mutex);
}

inline pthread_cond_t *native(wd_host_cond *cond)
{
	static_assert(sizeof(pthread_cond_t) <= sizeof(wd_host_cond));
	return reinterpret_cast<pthread_cond_t *>(cond);
}

/**
 * Wait on @cond until @deadlineNs of CLOCK_MONOTONIC (0 = for ever).
 * @return false when the time is over.
 */
bool waitUntil(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadlineNs);

/** An allocation that may wait is about to be made. */
void beforeAllocation();

/** CLOCK_MONOTONIC. The clock of kernel code may be ahead of it (passTime()). */
uint64_t hostNs();

/** Count a call of kind @point; @return true if it is the one that must fail. */
bool shouldFail(FailPoint point);

/** Allocations that are not given back yet (slab and pages together). */
struct AllocationCount {
	uint64_t allocations = 0, bytes = 0;
};
AllocationCount slabAllocations();
/** With environment WD_LEAK=1: print the allocations that are left, with their call sites. */
void slabReport();

void logClear();
void rcuStop();
void workqueueStart();
void workqueueStop();

} // namespace wd::hostkernel
